"""What `kubesvc/echo` says."""

import pytest

from kubesvc.node.images.echo_answers import (
    Identity,
    Request,
    answer_http,
    answer_raw,
    looks_like_http,
    parse_request,
)

ME = Identity("web-1", "10.244.1.5", node="node-1", namespace="shop", greeting="hallo")


def get(path: str, *, draining: bool = False) -> tuple[int, list[str], float]:
    request = Request("GET", path, "HTTP/1.1", {"host": "web:3000"})
    answer = answer_http(request, ME, "10.0.0.9:1234", "10.244.1.5:8080", draining=draining)
    return answer.status, answer.body.decode().splitlines(), answer.delay


def test_the_first_line_is_the_pods_name_then_addresses_and_headers() -> None:
    assert get("/any?x=1") == (
        200,
        [
            "web-1",
            "hallo",
            "pod: 10.244.1.5 on node-1 in shop",
            "client: 10.0.0.9:1234",
            "server: 10.244.1.5:8080",
            "protocol: HTTP",
            "request: GET /any?x=1 HTTP/1.1",
            "host: web:3000",
        ],
        0.0,
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [("/healthz", 200), ("/status/503", 503), ("/status/42", 200), ("/status/x", 200), ("/readyz", 200)],
)
def test_some_paths_help_tests(path: str, status: int) -> None:
    assert get(path)[0] == status


def test_a_slow_answer_waits_within_bounds() -> None:
    assert [get(f"/slow?seconds={text}")[2] for text in ("0.5", "-1", "9e9", "x")] == [0.5, 0.0, 600.0, 1.0]


def test_while_draining_readiness_fails_and_the_rest_is_served() -> None:
    assert get("/readyz", draining=True)[0] == 503
    assert get("/", draining=True)[0] == 200


def test_raw_bytes_come_back_under_the_name() -> None:
    lines = answer_raw(b"ping\n", ME, "UDP", "c:1", "s:2").splitlines()
    assert (lines[0], lines[-1]) == (b"web-1", b"data: ping")


@pytest.mark.parametrize(
    ("data", "verdict"), [(b"GET / HTTP", True), (b"GE", None), (b"POST", None), (b"hello", False), (b"get ", False)]
)
def test_the_first_bytes_tell_http_from_the_rest(data: bytes, verdict: bool | None) -> None:
    assert looks_like_http(data) is verdict


def test_keep_alive_follows_version_and_header() -> None:
    def keeps(head: bytes) -> bool:
        request = parse_request(head)
        assert request is not None
        return request.keep_alive

    assert keeps(b"GET / HTTP/1.1")
    assert not keeps(b"GET / HTTP/1.1\r\nConnection: close")
    assert not keeps(b"GET / HTTP/1.0")
    assert parse_request(b"nonsense") is None
