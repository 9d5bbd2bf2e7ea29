"""Get and list: stored bytes out, joined, without decoding them unless the client wants another form."""

from collections.abc import Sequence
from dataclasses import dataclass

from kubesvc.api.resources import Resource
from kubesvc.apiserver import refusals
from kubesvc.apiserver.documents import to_json
from kubesvc.apiserver.keys import key_of, prefix_of
from kubesvc.apiserver.request import Call, Target
from kubesvc.apiserver.selection import Selection, parse_selection
from kubesvc.apiserver.versions import ListPlan, make_token, parse_revision, plan_list
from kubesvc.store.types import Backend, Compacted, Record, Revision


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a collection as stored values, and what its ListMeta says."""

    values: Sequence[bytes]
    revision: Revision
    next: str = ""
    remaining: int = 0

    def metadata(self) -> dict[str, object]:
        metadata: dict[str, object] = {"resourceVersion": str(self.revision)}
        if self.next:
            metadata["continue"] = self.next
            if self.remaining:
                metadata["remainingItemCount"] = self.remaining
        return metadata

    def body(self, resource: Resource) -> bytes:
        """The `ServiceList` document."""
        head = b'{"kind":"%sList","apiVersion":"%s","metadata":%s,"items":[' % (
            resource.kind.encode(), resource.group_version.encode(), to_json(self.metadata()),
        )  # fmt: skip
        return b"".join((head, b",".join(self.values), b"]}\n"))


def get(backend: Backend, call: Call, resource: Resource, target: Target) -> bytes:
    """The stored bytes of one object. Raises NotFound, and Timeout for a revision of the future."""
    asked = parse_revision(call.query.get("resourceVersion", ""))
    if asked > backend.revision:
        raise refusals.too_large_revision(asked, backend.revision)
    record = backend.get(key_of(resource, target.namespace, target.name))
    if record is None:
        raise refusals.not_found(resource, target.name)
    return record.value


def list_objects(backend: Backend, call: Call, resource: Resource, target: Target) -> Listing:
    """A page of the collection, filtered. Raises Expired when its revision is no longer kept."""
    selection = parse_selection(resource, target, call.query)
    plan = plan_list(call.query, current=backend.revision)
    prefix = prefix_of(resource, target.namespace)
    try:
        if selection.everything:
            return _plain(backend, prefix, plan)
        return _filtered(backend, prefix, plan, selection)
    except Compacted as err:
        raise (refusals.continue_expired() if plan.after else refusals.expired(err.asked, err.oldest)) from err


def _plain(backend: Backend, prefix: str, plan: ListPlan) -> Listing:
    page = backend.list(prefix, after=plan.after, limit=plan.limit, revision=plan.revision)
    token = make_token(page.revision, page.records[-1].key) if page.remaining else ""
    return Listing([record.value for record in page.records], page.revision, token, page.remaining)


def _filtered(backend: Backend, prefix: str, plan: ListPlan, selection: Selection) -> Listing:
    """With selectors the limit counts matches, and nobody knows how many are left."""
    page = backend.list(prefix, after=plan.after, revision=plan.revision)
    found: list[Record] = []
    for record in page.records:
        if selection.name and not record.key.endswith(f"/{selection.name}"):
            continue
        if selection.matches(record.value):
            if plan.limit and len(found) == plan.limit:
                return Listing(_values(found), page.revision, make_token(page.revision, found[-1].key))
            found.append(record)
    return Listing(_values(found), page.revision)


def _values(records: Sequence[Record]) -> Sequence[bytes]:
    return [record.value for record in records]
