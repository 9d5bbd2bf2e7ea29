"""Taking a pod's directory away."""

import shutil
from pathlib import Path


def remove_directory(directory: Path) -> None:
    """Remove it with everything below. Idempotent; what a mount of another keeps busy is left."""
    shutil.rmtree(directory, ignore_errors=True)
