"""GET /containerLogs: a run's log, and what is added to it."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from kubesvc.linux.inotify import DirectoryWatch
from kubesvc.node.kubelet.loglines import BadLogOptions, LogOptions, LogReader, parse_log_options, tail_offset
from kubesvc.node.records import Run
from kubesvc.node.worker import PodWorker

_CHUNK = 256 << 10


async def serve_logs(request: web.Request, worker: PodWorker, container: str) -> web.StreamResponse:
    """Answer with the log of the container's current (or, if asked, previous) run."""
    try:
        options = parse_log_options(request.query, time.time())
    except BadLogOptions as err:
        raise web.HTTPBadRequest(text=str(err)) from err
    run = _run(worker, container, options)
    ended = asyncio.ensure_future(_end(worker, container, run))
    try:
        return await _send(request, read_log(Path(run.log_path), options, ended))
    finally:
        ended.cancel()


async def _end(worker: PodWorker, container: str, run: Run) -> None:
    now = worker.record.of(container).run
    if now is not None and now.id == run.id:
        await worker.wait_end(container)


async def _send(request: web.Request, parts: AsyncIterator[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    async for text in parts:
        await response.write(text)
    await response.write_eof()
    return response


def _run(worker: PodWorker, container: str, options: LogOptions) -> Run:
    """The run whose log is meant; HTTPBadRequest in the kubelet's words when there is none."""
    name = worker.pod.metadata.name
    record = worker.record.of(container)
    run = record.run
    if options.previous:
        previous = run if run is not None and record.waiting is not None else record.previous
        if previous is None or not Path(previous.log_path).exists():
            raise web.HTTPBadRequest(text=f'previous terminated container "{container}" in pod "{name}" not found')
        return previous
    if run is None:
        reason = "PodInitializing" if worker.pod.spec.init_containers else "ContainerCreating"
        reason = record.waiting.reason if record.waiting else reason
        message = f": {record.waiting.message}" if record.waiting and record.waiting.message else ""
        waits = "trying and failing to pull image" if "Image" in reason else reason
        details = message if waits != reason else ""
        text = f'container "{container}" in pod "{name}" is waiting to start: {waits}{details}'
        raise web.HTTPBadRequest(text=text)
    return run


async def read_log(path: Path, options: LogOptions, ended: asyncio.Future[None]) -> AsyncIterator[bytes]:
    """The text of a log in pieces; with `follow` until the run has `ended`."""
    reader = LogReader(options)
    older = path.with_name(path.name + ".1")
    current = _read(path)
    data, position = _read(older) + current, len(current)
    if options.tail is not None:
        data = data[tail_offset(data, options.tail) :]
    for start in range(0, len(data), _CHUNK):
        if text := reader.feed(data[start : start + _CHUNK]):
            yield text
    if not options.follow:
        return
    with DirectoryWatch(path.parent) as watch:
        ended.add_done_callback(lambda _: watch.wake())
        watch.wake()
        while not reader.full:
            over = ended.done()
            data, position = _read_on(path, older, position)
            if text := reader.feed(data):
                yield text
            if over and not data:
                return
            if not over:
                await watch.changed()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _read_on(path: Path, older: Path, position: int) -> tuple[bytes, int]:
    """What came after `position`, also across a rotation: then the rest of it is in the older file."""
    size = _size(path)
    rest = b""
    if size < position:
        rest, position = _read(older)[position:], 0
    try:
        with path.open("rb") as file:
            file.seek(position)
            data = file.read()
    except OSError:
        return rest, position
    return rest + data, position + len(data)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
