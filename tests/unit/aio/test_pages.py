"""Small HTTP pages: found by path, GET and HEAD only, one request a connection."""

import asyncio
import gc
import socket

import pytest

from kubesvc.aio.pages import ANY_PATH, Page, Pages, close_pages, port_of, serve_pages, split_address


async def _weight() -> Page:
    return Page(503, b"{}", "application/json", {"X-Weight": "0"})


async def ask(pages: Pages, request: str) -> tuple[str, str]:
    """Status line with headers, and body."""
    server = await serve_pages("127.0.0.1", 0, pages)
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    writer.write(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    server.close()
    return head, body


async def test_a_page_says_its_status_type_and_headers() -> None:
    head, body = await ask({"/": _weight}, "GET /?verbose")
    assert head.split("\r\n") == [
        "HTTP/1.1 503 Service Unavailable", "Content-Type: application/json", "Content-Length: 2",
        "Connection: close", "X-Weight: 0",
    ]  # fmt: skip
    assert body == "{}"


@pytest.mark.parametrize(
    ("request_line", "code"), [("GET /other", "404"), ("POST /", "405"), ("HEAD /", "503"), ("nonsense", "404")]
)
async def test_what_is_no_page_is_refused(request_line: str, code: str) -> None:
    head, body = await ask({"/": _weight}, request_line)
    assert head.split(" ")[1] == code
    assert (body == "") == request_line.startswith("HEAD")


async def test_one_page_may_stand_for_every_path() -> None:
    head, _ = await ask({ANY_PATH: _weight}, "GET /whatever")
    assert head.startswith("HTTP/1.1 503 ")


@pytest.mark.parametrize("failure", [ConnectionError("upstream"), TimeoutError("disk"), ValueError("defect")])
async def test_a_page_that_fails_is_an_internal_error_and_logged(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing() -> Page:
        raise failure

    head, body = await ask({"/": failing}, "GET /")
    assert head.startswith("HTTP/1.1 500 ")
    assert body == "internal error\n"
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is failure


def test_addresses_are_host_and_port() -> None:
    assert split_address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert split_address("[::1]:80") == ("::1", 80)
    assert split_address(":80") == (None, 80)


async def _large() -> Page:
    return Page(200, bytes(20_000_000))


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("turns", range(8))
def test_an_end_in_the_middle_of_a_connection_leaves_no_socket_open(turns: int, asked: bool) -> None:
    async def story() -> socket.socket:
        server = await serve_pages("127.0.0.1", 0, {"/": _large})
        client = socket.create_connection(("127.0.0.1", port_of(server)))
        if asked:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        for _ in range(turns):
            await asyncio.sleep(0)
        await close_pages(server)
        return client

    client = asyncio.run(story())
    gc.collect()  # a socket left open would be a warning, and so an error, here
    client.close()
