"""The search list, walked for the client: the answer to its last question with its first.

A pod that looks up `example.com` asks four names for each family, because of `ndots:5`. The first,
`example.com.<its namespace>.svc.<domain>`, gives away what the others will be.
"""

from kubesvc.dns import wire
from kubesvc.dns.lookup import Finding, find
from kubesvc.dns.records import Record
from kubesvc.dns.view import View
from kubesvc.dns.wire import BadName, Type

_FAMILIES = (Type.A, Type.AAAA)


def walk(view: View, name: bytes, qtype: int, denied: Finding) -> Finding:
    """What the client would find further down its search list, behind a CNAME that says where.

    `denied` is the NXDOMAIN for `name` itself. It comes back, with everything it now rests on, when
    the name is no first try of a search or there is nothing to be found. Single labels are left
    alone: a Service that does not exist must stay a quick NXDOMAIN.
    """
    base = _base(view, name)
    if base is None or qtype not in _FAMILIES:
        return denied
    depends = denied.depends
    for candidate in _rest_of_list(view, base):
        found = find(view, candidate, qtype)
        depends += found.depends
        alias = Record(name, Type.CNAME, view.policy.ttl, candidate, "search list")
        if not found.zone:
            return Finding(view.domain, True, (alias,), (), depends, candidate)
        if found.records or found.chase:
            return found._replace(zone=view.domain, records=(alias, *found.records), depends=depends)
    return denied._replace(depends=depends)


def _base(view: View, name: bytes) -> list[bytes] | None:
    """The labels a program asked for, when `name` is they and `<existing namespace>.svc.<domain>`."""
    labels, own = wire.labels_of(name), wire.labels_of(view.domain)
    rest = labels[: -len(own)]
    if len(rest) < 4 or rest[-1] != b"svc" or rest[0].startswith(b"_"):
        return None
    return rest[:-2] if view.has_namespace(rest[-2].decode("latin-1")) else None


def _rest_of_list(view: View, base: list[bytes]) -> list[bytes]:
    own = wire.labels_of(view.domain)
    names = []
    for suffix in ([b"svc", *own], own, []):
        try:
            names.append(wire.name_from_labels(base + suffix))
        except BadName:
            continue
    return names
