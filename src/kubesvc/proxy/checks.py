"""Options that were put together from flags and a file: what cannot be is refused, what may surprise is said."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kubesvc.proxy.addresses import canonical_range, family_of, range_family
from kubesvc.proxy.config import ConfigError
from kubesvc.proxy.model import Family
from kubesvc.proxy.options import LocalDetector, Mode, ProxyOptions
from kubesvc.proxy.rules import ALL, KEYWORDS, LOCALHOST

ANY_ADDRESS = ("0.0.0.0:10256", "127.0.0.1:10249")
ANY_ADDRESS_6 = ("[::]:10256", "[::1]:10249")


def checked(options: ProxyOptions) -> ProxyOptions:
    """The same options, with their warnings and with servers of the bind address's family. Raises ConfigError."""
    _refuse(options)
    if family_of(options.bind_address) is Family.IPV6:
        other = dict(zip(ANY_ADDRESS, ANY_ADDRESS_6, strict=True))
        options = replace(
            options,
            healthz_bind=other.get(options.healthz_bind, options.healthz_bind),
            metrics_bind=other.get(options.metrics_bind, options.metrics_bind),
        )
    return replace(options, warnings=(*options.warnings, *_surprises(options)))


def _refuse(options: ProxyOptions) -> None:
    if not 0 <= options.masquerade_bit <= 31:
        raise ConfigError(f"masquerade bit: {options.masquerade_bit} is not between 0 and 31")
    if not -1000 <= (options.oom_score_adj or 0) <= 1000:
        raise ConfigError(f"oom-score-adj: {options.oom_score_adj} is not between -1000 and 1000")
    if options.bind_address and family_of(options.bind_address) is None:
        raise ConfigError(f"bind address: {options.bind_address!r} is not an address")
    if options.min_sync_period > options.sync_period:
        least = options.min_sync_period
        raise ConfigError(f"sync period: {options.sync_period:g} s is less than the least, {least:g} s")
    pods = [cidr for cidr in options.cluster_cidr.split(",") if cidr]
    node_ports = [cidr for cidr in options.nodeport_addresses if cidr not in KEYWORDS]
    for what, cidrs in (
        ("cluster CIDR", pods), ("service CIDR", options.service_cidrs), ("node port addresses", node_ports),
    ):  # fmt: skip
        _refuse_ranges(what, cidrs)
    for bind in (options.healthz_bind, options.metrics_bind):
        _refuse_bind(bind)
    wanted = {LocalDetector.BRIDGE_INTERFACE: options.pod_bridge,
              LocalDetector.INTERFACE_NAME_PREFIX: options.pod_interface_prefix}  # fmt: skip
    if not wanted.get(options.detect_local, "given"):
        raise ConfigError(f"detect-local mode {options.detect_local} needs the name of the pods' interface")


def _refuse_ranges(what: str, cidrs: Iterable[str]) -> None:
    for cidr in cidrs:
        if "/" not in cidr or range_family(cidr) is None:
            raise ConfigError(f"{what}: {cidr!r} is not a CIDR such as 10.1.0.0/16")


def _refuse_bind(bind: str) -> None:
    host, _, port = bind.rpartition(":")
    if bind and (not port.isdigit() or not 0 < int(port) < 65536 or (host and family_of(host.strip("[]")) is None)):
        raise ConfigError(f"bind address: {bind!r} is not ADDRESS:PORT")


def _surprises(options: ProxyOptions) -> Iterator[str]:
    if options.detect_local is LocalDetector.CLUSTER_CIDR and not options.cluster_cidr:
        yield "no cluster CIDR is given: no source is taken for a pod, and none is masqueraded at cluster addresses"
    wanted = options.nodeport_addresses
    if not wanted and options.mode == Mode.IPTABLES:
        yield "node ports answer on every local address; --nodeport-addresses=primary is safer"
    if LOCALHOST in wanted and options.mode == Mode.NFTABLES:
        yield "node ports never answer on loopback addresses in nftables mode"
    if wanted and not KEYWORDS.intersection(wanted):
        for family in Family:
            if not any(canonical_range(cidr, family) for cidr in wanted):
                yield f"--nodeport-addresses has no {family} range: {family} node ports answer on every local address"
    if wanted == (ALL,):
        yield "node ports answer on every local address"
