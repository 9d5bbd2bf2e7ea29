"""Container logs: from a stream to CRI records, and from records to what a reader asked for."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesvc.node.kubelet.loglines import BadLogOptions, LogOptions, LogReader, parse_log_options, tail_offset
from kubesvc.node.runtime.logfile import LineFramer, LogFile

STAMP = b"2026-01-02T03:04:05.000000006Z"


def framed(*pieces: bytes, stream: str = "stdout") -> bytes:
    framer = LineFramer(stream)
    return b"".join(framer.feed(piece, STAMP) for piece in pieces) + framer.end(STAMP)


def read(data: bytes, **options: object) -> bytes:
    return LogReader(LogOptions(**options)).feed(data)  # type: ignore[arg-type]


def test_a_line_becomes_a_record_with_stamp_stream_and_tag() -> None:
    assert framed(b"hello\nwor", b"ld\n") == STAMP + b" stdout F hello\n" + STAMP + b" stdout F world\n"


def test_a_last_line_without_newline_is_not_lost() -> None:
    assert framed(b"bye", stream="stderr") == STAMP + b" stderr F bye\n"


@given(st.lists(st.binary(max_size=40_000), max_size=6))
def test_what_is_read_is_what_was_written(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    expected = text if not text or text.endswith(b"\n") else text + b"\n"
    assert read(framed(*pieces)) == expected


@given(st.lists(st.binary(max_size=20_000).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.integers(0, 9))
def test_the_tail_is_the_last_lines_however_long_they_are(lines: list[bytes], count: int) -> None:
    data = framed(b"".join(line + b"\n" for line in lines))
    kept = lines[-count:] if count else []
    assert read(data[tail_offset(data, count) :]) == b"".join(line + b"\n" for line in kept)


def test_stamps_go_before_whole_lines_only() -> None:
    data = framed(b"x" * 20_000 + b"\n" + b"y\n")
    text = read(data, timestamps=True)
    assert text.count(STAMP) == 2
    assert text.endswith(STAMP + b" y\n")


def test_a_limit_counts_the_bytes_that_are_sent() -> None:
    reader = LogReader(LogOptions(limit=8))
    assert reader.feed(framed(b"hello\nworld\n")) == b"hello\nwo"
    assert reader.full


def test_since_leaves_out_what_is_older() -> None:
    old = b"2026-01-02T03:04:04.999999999Z stdout F old\n"
    assert read(old + framed(b"new\n"), since=1767323045.0) == b"new\n"


def test_one_stream_can_be_asked_for() -> None:
    data = framed(b"out\n") + framed(b"err\n", stream="stderr")
    assert read(data, stream="stderr") == b"err\n"


def test_options_are_read_as_the_api_writes_them() -> None:
    query = {"follow": "true", "tailLines": "5", "sinceSeconds": "60", "limitBytes": "9", "timestamps": "1"}
    assert parse_log_options(query, now=1000.0) == LogOptions(
        follow=True, timestamps=True, tail=5, limit=9, since=940.0
    )
    assert parse_log_options({"sinceTime": "2026-01-02T03:04:05Z"}, 0.0).since == 1767323045.0


@pytest.mark.parametrize("query", [{"tailLines": "-1"}, {"tailLines": "x"}, {"limitBytes": "0"}, {"sinceTime": "noon"}])
def test_a_bad_option_is_named(query: dict[str, str]) -> None:
    with pytest.raises(BadLogOptions, match=next(iter(query))):
        parse_log_options(query, 0.0)


def test_a_log_file_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    log = LogFile(str(path), limit=1000)
    for number in range(100):
        log.write("stdout", b"line %d\n" % number)
    log.close()
    older = path.with_name("0.log.1")
    assert path.stat().st_size <= 1000
    assert older.stat().st_size <= 1000
    assert read(older.read_bytes() + path.read_bytes()).endswith(b"line 98\nline 99\n")
