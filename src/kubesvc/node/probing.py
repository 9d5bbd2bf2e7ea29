"""One try of a probe or a hook: exec in the container, an HTTP request, a TCP connection."""

import asyncio
import os
import ssl

import msgspec

from kubesvc.api.views import Container, ExecAction, HTTPGetAction, Probe, TCPSocketAction
from kubesvc.node.runtime.sandbox import RequestFailed, Sandbox, SandboxGone

_OUTPUT_LIMIT = 10 << 10
_HEAD_LIMIT = 64 << 10


class Outcome(msgspec.Struct, frozen=True):
    """Whether it succeeded, and what it said."""

    success: bool
    message: str = ""


class Target(msgspec.Struct, frozen=True):
    """The container that a try is about."""

    container: Container
    sandbox: Sandbox
    address: str


async def try_probe(probe: Probe, target: Target) -> Outcome:
    """One try within the probe's own time limit."""
    limit = max(probe.timeout_seconds, 1)
    if probe.exec:
        return await run_exec(probe.exec, target, limit)
    try:
        async with asyncio.timeout(limit):
            if probe.http_get:
                return await http_get(probe.http_get, target)
            if probe.tcp_socket:
                return await _tcp_connect(probe.tcp_socket, target)
    except TimeoutError:
        return Outcome(False, f"no answer within {limit} s")
    return Outcome(False, "this runtime offers exec, httpGet and tcpSocket probes, no grpc")


async def run_exec(action: ExecAction, target: Target, limit: float) -> Outcome:
    """Run the command in the container; success is exit code 0 within `limit` seconds."""
    output = _Output()
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fds = (null, output.writer, output.writer)
        command = await target.sandbox.execute(target.container.name, action.command or (), fds)
        try:
            async with asyncio.timeout(limit):
                code = await command.wait()
        except TimeoutError:
            await command.kill()
            return Outcome(False, f"command {' '.join(action.command or ())!r} timed out after {limit:g} s")
    except (RequestFailed, SandboxGone) as err:
        return Outcome(False, str(err))
    finally:
        os.close(null)
        output.close()
    return Outcome(code == 0, output.text or ("" if code == 0 else f"exit code {code}"))


class _Output:
    """A pipe that is read all the time, so that no command waits for it, and of which the beginning is kept."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        self._data = b""
        os.set_blocking(self._reader, False)
        asyncio.get_running_loop().add_reader(self._reader, self._read)

    @property
    def text(self) -> str:
        return self._data.decode(errors="replace")

    def close(self) -> None:
        self._read()
        asyncio.get_running_loop().remove_reader(self._reader)
        os.close(self._reader)
        os.close(self.writer)

    def _read(self) -> None:
        try:
            data = os.read(self._reader, 1 << 16)
        except BlockingIOError:
            return
        self._data += data[: _OUTPUT_LIMIT - len(self._data)]


async def http_get(action: HTTPGetAction, target: Target) -> Outcome:
    """GET; success is a status of 200 to 399."""
    host = action.host or target.address
    port = resolve_port(action.port, target.container)
    if port is None:
        return Outcome(False, f"couldn't find port: {action.port}")
    secure = _unverified() if action.scheme.upper() == "HTTPS" else None
    url = f"{action.scheme.lower()}://{host}:{port}{action.path}"
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=secure, limit=_HEAD_LIMIT)
    except OSError as err:
        return Outcome(False, f'Get "{url}": {_reason(err)}')
    try:
        writer.write(_request(action, host, port))
        line = await reader.readline()
    except (OSError, ValueError) as err:
        return Outcome(False, f'Get "{url}": {err}')
    finally:
        writer.close()
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return Outcome(False, f'Get "{url}": malformed HTTP response')
    status = int(words[1])
    return Outcome(200 <= status < 400, f"HTTP probe failed with statuscode: {status}" if status >= 400 else "")


def _request(action: HTTPGetAction, host: str, port: int) -> bytes:
    headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
    for header in action.http_headers or ():
        headers[header.name.title()] = header.value
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _tcp_connect(action: TCPSocketAction, target: Target) -> Outcome:
    port = resolve_port(action.port, target.container)
    if port is None:
        return Outcome(False, f"couldn't find port: {action.port}")
    host = action.host or target.address
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as err:
        return Outcome(False, f"dial tcp {host}:{port}: {_reason(err)}")
    writer.close()
    return Outcome(True)


def resolve_port(port: int | str, container: Container) -> int | None:
    """A number, or the number of the container's port of that name."""
    if isinstance(port, int):
        return port
    for each in container.ports or ():
        if each.name == port:
            return each.container_port
    return int(port) if port.isdigit() else None


def _reason(err: OSError) -> str:
    return os.strerror(err.errno).lower() if err.errno else str(err)


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
