"""The controllers' /metrics and health pages, asked over loopback."""

import asyncio

from kubesvc.controllers.controller import Measures
from kubesvc.controllers.pages import serving
from kubesvc.observe import Registry


async def ask(port: int, path: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), body


async def test_they_tell_what_was_reconciled_and_whether_work_has_begun() -> None:
    registry, ready = Registry(), asyncio.Event()
    Measures(registry).reconciled.inc("endpointslice", "done")
    async with serving("127.0.0.1:0", registry, ready) as port:
        assert await ask(port, "/healthz") == (200, "ok")
        assert (await ask(port, "/readyz"))[0] == 503
        ready.set()
        assert await ask(port, "/readyz") == (200, "ok")
        status, text = await ask(port, "/metrics")
    assert status == 200
    assert 'kubesvc_controller_reconciled_total{controller="endpointslice",result="done"} 1' in text


async def test_without_an_address_nothing_is_served() -> None:
    async with serving("", Registry(), asyncio.Event()) as port:
        assert port == 0
