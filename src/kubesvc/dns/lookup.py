"""Names to records: the Kubernetes DNS specification 1.1.0, sections 2.2 to 2.6.

The name space below the cluster domain, each level existing exactly when something is beneath it
(RFC 8020), so that NODATA and NXDOMAIN are never confused:

    <domain>                                SOA, NS
    dns-version.<domain>                    TXT
    svc.<domain>
      <ns>.svc.<domain>
        <service>.<ns>.svc.<domain>         A, AAAA, SRV | CNAME
          <hostname>.<service>...           A, AAAA      (one endpoint)
          _<proto>.<service>...
            _<port>._<proto>.<service>...   SRV
    pod.<domain>
      <ns>.pod.<domain>
        <a>-<b>-<c>-<d>.<ns>.pod.<domain>   A, AAAA
    <d>.<c>.<b>.<a>.in-addr.arpa, ...ip6.arpa   PTR
"""

from collections.abc import Sequence
from typing import NamedTuple

from kubesvc.api.resources import Key
from kubesvc.dns import endpoints, records, wire
from kubesvc.dns.records import Record
from kubesvc.dns.rows import undashed
from kubesvc.dns.view import REVERSE_V6, Dependency, View
from kubesvc.dns.wire import Type

SCHEMA_VERSION = "1.1.0"
SCHEMA_TTL = 28800
_MAX_CHAIN = 8


class Node(NamedTuple):
    """What stands at one name. `exists` with no record of a type is NODATA, else NXDOMAIN."""

    exists: bool
    records: Sequence[Record] = ()
    additional: Sequence[Record] = ()
    depends: tuple[Dependency, ...] = ()


class Finding(NamedTuple):
    """The records that answer a question.

    `zone` is the zone that knows, b"" when the name lies in none. `chase` is the name outside of
    our zones at which a CNAME chain leaves them.
    """

    zone: bytes
    exists: bool = False
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    depends: tuple[Dependency, ...] = ()
    chase: bytes = b""


def find(view: View, name: bytes, qtype: int) -> Finding:
    """Answer `qtype` at `name` (lower-case wire form), following CNAMEs within the cluster."""
    finding = _find_one(view, name, qtype)
    chain, seen = finding, {name}
    while chain.records and chain.records[0].type == Type.CNAME and qtype not in (Type.CNAME, Type.ANY):
        target = chain.records[0].rdata
        if target in seen or len(seen) > _MAX_CHAIN:
            break
        seen.add(target)
        chain = _find_one(view, target, qtype)
        if not chain.zone:
            return finding._replace(chase=target)
        finding = finding._replace(
            exists=chain.exists,
            records=finding.records + chain.records,
            additional=chain.additional,
            depends=finding.depends + chain.depends,
        )
    return finding


def zone_of(view: View, name: bytes) -> bytes:
    """The zone of ours that `name` lies in, b"" if none."""
    return _split(view, name)[0]


def _split(view: View, name: bytes) -> tuple[bytes, list[str]]:
    """The zone that `name` lies in, and the labels above it."""
    labels = wire.labels_of(name)
    for zone, suffix in view.zones:
        if labels[-len(suffix) :] == suffix:
            return zone, [label.decode("latin-1") for label in labels[: -len(suffix)]]
    return b"", []


def _find_one(view: View, name: bytes, qtype: int) -> Finding:
    zone, above = _split(view, name)
    if not zone:
        return Finding(zone)
    if zone == view.domain:
        node = _in_domain(view, name, above, qtype)
    else:
        node = _reverse(view, name, above, bits=4 if zone == REVERSE_V6 else 8)
    return Finding(zone, node.exists, _of_type(node.records, qtype), tuple(node.additional), node.depends)


def _of_type(found: Sequence[Record], qtype: int) -> tuple[Record, ...]:
    if not found:
        return ()
    if found[0].type == Type.CNAME:
        return tuple(found)
    # ANY gets one whole set of records and no more (RFC 8482, section 4.1).
    wanted = found[0].type if qtype == Type.ANY else qtype
    return tuple(record for record in found if record.type == wanted)


def _in_domain(view: View, name: bytes, above: list[str], qtype: int) -> Node:
    match above:
        case []:
            return _apex(view)
        case ["dns-version"]:
            return Node(True, [records.text(name, SCHEMA_TTL, SCHEMA_VERSION, "schema version")])
        case ["svc"] | ["pod"]:
            return Node(True)
        case [namespace, "svc" | "pod"]:
            return Node(view.has_namespace(namespace), depends=(Key("", namespace),))
        case [service, namespace, "svc"]:
            return _service(view, name, view.key(namespace, service), qtype)
        case [hostname, service, namespace, "svc"] if not hostname.startswith("_"):
            return _endpoint(view, name, hostname, view.key(namespace, service))
        case [protocol, service, namespace, "svc"]:
            return _protocol(view, protocol[1:], view.key(namespace, service))
        case [port, protocol, service, namespace, "svc"] if port.startswith("_") and protocol.startswith("_"):
            return _named_port(view, name, port[1:], protocol[1:], view.key(namespace, service))
        case [address, namespace, "pod"]:
            return _pod(view, name, address, namespace)
    return Node(False)


def _apex(view: View) -> Node:
    policy = view.policy
    start = records.soa(view.domain, policy.ttl, primary=view.ns_name, serial=policy.serial)
    name_server = Record(view.domain, Type.NS, policy.ttl, view.ns_name)
    glue = _find_one(view, view.ns_name, Type.A)
    return Node(True, [start, name_server], glue.records, glue.depends)


def _service(view: View, name: bytes, key: Key, qtype: int) -> Node:
    service, depends = view.service(key), (key,)
    if service is None:
        return Node(False, depends=depends)
    ttl, source = view.policy.ttl, f"service {key}"
    if service.external_name:
        return _alias(name, ttl, service.external_name, source, depends)
    if not service.headless:
        found = [records.address(name, ttl, address, source) for address in service.addresses]
    else:
        found = endpoints.addresses(view, name, key)
        if not found:
            targets = [(t, s) for s in view.slices(key) for t in s.targets]
            if not targets:
                return Node(False, depends=depends)
            target, slice_ = min(targets, key=lambda pair: pair[0])
            return _alias(name, ttl, target, f"endpointslice {slice_.namespace}/{slice_.name}", depends)
    if qtype in (Type.SRV, Type.ANY):
        servers, additional = endpoints.servers(view, name, service, lambda _: True)
        return Node(True, found + servers, additional, depends)
    return Node(True, found, (), depends)


def _alias(name: bytes, ttl: int, target: str, source: str, depends: tuple[Dependency, ...]) -> Node:
    try:
        rdata = wire.name_from_text(target)
    except wire.BadName:
        return Node(True, depends=depends)
    return Node(True, [Record(name, Type.CNAME, ttl, rdata, source)], (), depends)


def _endpoint(view: View, name: bytes, hostname: str, key: Key) -> Node:
    service = view.service(key)
    if service is None or service.external_name:
        return Node(False, depends=(key,))
    found = endpoints.addresses(view, name, key, hostname)
    return Node(bool(found), found, (), (key,))


def _protocol(view: View, protocol: str, key: Key) -> Node:
    """`_tcp.<service>` has no records, but exists while a named port is beneath it."""
    service = view.service(key)
    ports = endpoints.ports_in_use(view, service) if service else ()
    return Node(any(port.name and port.protocol == protocol for port in ports), depends=(key,))


def _named_port(view: View, name: bytes, port: str, protocol: str, key: Key) -> Node:
    service = view.service(key)
    if service is None or not port:
        return Node(False, depends=(key,))
    found, additional = endpoints.servers(view, name, service, lambda p: p.name == port and p.protocol == protocol)
    return Node(bool(found), found, additional, (key,))


def _pod(view: View, name: bytes, label: str, namespace: str) -> Node:
    address = undashed(label)
    if address is None or view.policy.pods == "disabled":
        return Node(False)
    is_verified = view.policy.pods == "verified"
    known = view.has_pod(namespace, address) if is_verified else view.has_namespace(namespace)
    depends: tuple[Dependency, ...] = (Key("", namespace), address)
    if not known:
        return Node(False, depends=depends)
    return Node(
        True, [records.address(name, view.policy.ttl, address, f"pod name in namespace {namespace}")], (), depends
    )


def _reverse(view: View, name: bytes, above: list[str], *, bits: int) -> Node:
    """PTR of ClusterIPs and ready endpoints; `above` holds the labels below the reverse zone."""
    whole = 32 // bits if bits == 8 else 128 // bits
    numbers = [_number(label, bits) for label in reversed(above)]
    if len(numbers) > whole or None in numbers:
        return Node(False)
    if len(numbers) < whole:
        # A shorter name may well have an address beneath it; to deny it would deny those too.
        return Node(True)
    digits = [number for number in numbers if number is not None]
    address = (
        bytes(digits) if bits == 8 else bytes(h << 4 | low for h, low in zip(digits[::2], digits[1::2], strict=True))
    )
    found = endpoints.pointers(view, name, address)
    return Node(bool(found), found, (), (address,))


def _number(label: str, bits: int) -> int | None:
    """One octet in decimal or one nibble in hexadecimal, written the one right way."""
    if bits == 4:
        return int(label, 16) if len(label) == 1 and label in "0123456789abcdef" else None
    if not (label.isascii() and label.isdigit()) or (label[0] == "0" and label != "0") or len(label) > 3:
        return None
    return int(label) if int(label) < 256 else None
