"""The proxy's HTTP servers: a taken port is had as soon as it is free; health checks follow what is asked for."""

import asyncio
import socket
from collections.abc import Iterable

from kubesvc.proxy.model import HealthCheck
from kubesvc.proxy.servers import BIND_RETRY_SECONDS, HealthCheckServers, HttpServer, keep_serving
from kubesvc.testing.clock import VirtualClock


def taken() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


async def get(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    answer = (await reader.read()).decode()
    writer.close()
    return answer


async def test_a_port_that_is_taken_is_had_as_soon_as_it_is_free() -> None:
    clock, failures = VirtualClock(), list[OSError]()
    with taken() as occupied:
        port = occupied.getsockname()[1]
        server = HttpServer(f"127.0.0.1:{port}", {"/": lambda: (200, {}, b"here")})
        trying = asyncio.create_task(keep_serving(server, clock, failures.append))
        await asyncio.sleep(0)
        for tries in (1, 2):
            await clock.advance(BIND_RETRY_SECONDS)
            async with asyncio.timeout(5):
                while len(failures) < tries or not clock.sleepers:
                    await asyncio.sleep(0)
    await clock.advance(BIND_RETRY_SECONDS)
    await trying

    assert (await get(port)).endswith("here")
    await server.stop()


async def test_a_health_check_whose_port_is_taken_is_reported_and_tried_again() -> None:
    failed: list[int] = []
    servers = HealthCheckServers(lambda: True, lambda check, _: failed.append(check.port))
    with taken() as occupied:
        port = occupied.getsockname()[1]
        checks = [HealthCheck("default", "web", port, 1)]
        await servers.follow(checks, ["127.0.0.1"])
        assert failed == [port]

    await servers.follow(checks, ["127.0.0.1"])

    assert "X-Load-Balancing-Endpoint-Weight: 1" in await get(port)
    await servers.stop()


async def test_health_checks_move_with_the_addresses_and_go_with_their_services() -> None:
    servers = HealthCheckServers(lambda: True, lambda _, err: raise_(err))
    with taken() as free:
        port = free.getsockname()[1]
    checks = [HealthCheck("default", "web", port, 0)]

    await servers.follow(checks, ["127.0.0.2"])
    assert not await open_(port)
    await servers.follow(checks, ["127.0.0.1"])
    assert "503" in await get(port)
    await servers.follow(none(), ["127.0.0.1"])
    assert not await open_(port)


def none() -> Iterable[HealthCheck]:
    return ()


def raise_(err: OSError) -> None:
    raise err


async def open_(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True
