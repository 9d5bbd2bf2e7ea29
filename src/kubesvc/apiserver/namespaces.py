"""Namespaces: they end in two steps, and some never do."""

from kubesvc.api import resources as r
from kubesvc.apiserver import refusals
from kubesvc.apiserver.documents import Document
from kubesvc.apiserver.kinds import Kind

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceKind(Kind):
    """A deleted namespace is Terminating until the namespace controller has emptied it and finalized its spec."""

    returns_deleted = True

    def check_deletable(self, document: Document) -> None:
        name = document["metadata"]["name"]
        if name in IMMORTAL:
            raise refusals.forbidden(r.NAMESPACES, name, "this namespace may not be deleted")

    def mark_terminating(self, document: Document) -> None:
        document.setdefault("status", {})["phase"] = "Terminating"

    def may_go(self, document: Document) -> bool:
        return super().may_go(document) and not (document.get("spec") or {}).get("finalizers")
