"""Changes cut into transactions: whole owners together, each transaction short."""

from collections.abc import Iterable

from kubesvc.proxy.model import ServicePortName
from kubesvc.proxy.nftables.elements import Changes

CHUNK = 2000
"""Elements per transaction: each holds the kernel's lock for some 20 ms at most."""

OwnedChanges = tuple[ServicePortName | None, Changes]
"""Changes, and the service port they are made for; None for what nobody owns any more."""


def chunks(owned: Iterable[OwnedChanges]) -> Iterable[list[OwnedChanges]]:
    """Whole owners together up to the chunk size; the first owners soon, larger ones split."""
    chunk: list[OwnedChanges] = []
    size = 0
    for owner, changes in owned:
        if size and size + len(changes) > CHUNK:
            yield chunk
            chunk, size = [], 0
        if len(changes) > CHUNK:
            yield from ([(owner, part)] for part in _split(changes))
        elif changes:
            chunk.append((owner, changes))
            size += len(changes)
    if chunk:
        yield chunk


def _split(changes: Changes) -> Iterable[Changes]:
    """Parts of one owner's changes: a replaced element stays in one part."""
    replaced = {key for key, _ in changes.adds}
    deletes = dict(item for item in changes.deletes if item[0] in replaced)
    gone = [item for item in changes.deletes if item[0] not in replaced]
    for start in range(0, len(gone), CHUNK):
        yield Changes(deletes=gone[start : start + CHUNK])
    for start in range(0, len(changes.adds), CHUNK):
        adds = changes.adds[start : start + CHUNK]
        yield Changes([(key, deletes[key]) for key, _ in adds if key in deletes], adds)
