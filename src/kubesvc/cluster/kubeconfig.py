"""P: kubeconfig documents: build one, find the file that kubectl would write, merge an entry in and out.

Rules of kubectl (client-go `clientcmd`): an explicit file is the only one; `$KUBECONFIG` lists
several, where the first to hold a value wins and new entries go to the first that exists (to the
last of the list if none does); otherwise `~/.kube/config`.
"""

import copy
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Document = dict[str, Any]

LISTS = ("clusters", "users", "contexts")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one cluster contributes: a cluster, a user and a context, all named `name`."""

    name: str
    server: str
    ca_pem: bytes
    token: str

    def sections(self) -> dict[str, Document]:
        ca = b64encode(self.ca_pem).decode()
        return {
            "clusters": {"name": self.name, "cluster": {"certificate-authority-data": ca, "server": self.server}},
            "users": {"name": self.name, "user": {"token": self.token}},
            "contexts": {"name": self.name, "context": {"cluster": self.name, "user": self.name}},
        }


def new_document(entry: Entry) -> Document:
    """A whole kubeconfig with this entry alone, as its current context."""
    return merge_entry({}, entry)


def merge_entry(document: Document, entry: Entry, *, make_current: bool = True) -> Document:
    """`document` with the entry in place of older ones of the same name; everything else is kept."""
    merged = copy.deepcopy(document)
    merged.setdefault("apiVersion", "v1")
    merged.setdefault("kind", "Config")
    for section, item in entry.sections().items():
        others = [old for old in merged.get(section) or [] if old.get("name") != entry.name]
        merged[section] = [*others, item]
    if make_current:
        merged["current-context"] = entry.name
    return merged


def remove_entry(document: Document, name: str, *, restore: str = "") -> Document:
    """`document` without the entries called `name`.

    When the current context was `name` it becomes `restore`, if that context is still there, else
    none. A context that somebody else has made current meanwhile stays.
    """
    pruned = copy.deepcopy(document)
    for section in LISTS:
        if pruned.get(section):
            pruned[section] = [old for old in pruned[section] if old.get("name") != name]
    if pruned.get("current-context") == name:
        known = {context.get("name") for context in pruned.get("contexts") or []}
        pruned["current-context"] = restore if restore in known else ""
    return pruned


def is_empty(document: Document) -> bool:
    """Whether nothing of a person's is left in it, so that the file we made may go."""
    return not any(document.get(section) for section in LISTS) and not document.get("current-context")


def config_files(explicit: str, variable: str, home: Path) -> list[Path]:
    """The files kubectl would read, in order of precedence."""
    if explicit:
        return [Path(explicit)]
    listed = list(dict.fromkeys(part for part in variable.split(":") if part))
    return [Path(part) for part in listed] or [home / ".kube" / "config"]


def file_to_write(files: Sequence[Path], exists: Callable[[Path], bool]) -> Path:
    """Where kubectl would put a new entry: the first existing file, else the last one listed."""
    return next((path for path in files if exists(path)), files[-1])
