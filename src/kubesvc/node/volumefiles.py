"""Volumes made of API objects, on disk: updated all at once, as upstream's atomic writer does.

<volume>/..2026_01_02_03_04_05.000000001/   the files
<volume>/..data -> ..2026_…                 swapped by rename, so that readers see all old or all new
<volume>/<first path part> -> ..data/<…>    what the program opens
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from kubesvc.node.volumes import Files

_DATA = "..data"


def write_volume(volume: Path, files: Files) -> bool:
    """Make `volume` hold exactly `files`; False when it does already."""
    volume.mkdir(mode=0o755, parents=True, exist_ok=True)
    current = volume / _DATA
    if current.is_symlink() and _holds(current, files):
        return False
    fresh = volume / time.strftime("..%Y_%m_%d_%H_%M_%S", time.gmtime())
    fresh = fresh.with_name(f"{fresh.name}.{time.time_ns() % 1_000_000_000:09d}")
    fresh.mkdir(mode=0o755)
    for path, file in files.items():
        target = fresh / path
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        target.write_bytes(file.data)
        target.chmod(file.mode)
    old = os.readlink(current) if current.is_symlink() else ""
    draft = volume / "..data_tmp"
    with suppress(FileNotFoundError):
        draft.unlink()
    draft.symlink_to(fresh.name)
    os.replace(draft, current)
    _link_names(volume, {path.split("/")[0] for path in files})
    if old:
        shutil.rmtree(volume / old, ignore_errors=True)
    return True


def _holds(current: Path, files: Files) -> bool:
    present = {str(path.relative_to(current)) for path in current.rglob("*") if path.is_file()}
    if present != set(files):
        return False
    return all(
        (current / path).read_bytes() == file.data and (current / path).stat().st_mode & 0o777 == file.mode
        for path, file in files.items()
    )


def _link_names(volume: Path, names: set[str]) -> None:
    for entry in volume.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        link = volume / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")
