"""P: what a pod's /etc/resolv.conf says (Pod v1 `dnsPolicy` and `dnsConfig`; kubelet's limits)."""

from typing import NamedTuple

import msgspec

from kubesvc.api.views import Pod

MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARACTERS = 2048


class ResolverConfig(NamedTuple):
    """The three parts of a resolv.conf, in order."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class ResolverFile(msgspec.Struct, frozen=True):
    """The file's text, and what had to be cut from it, for the event DNSConfigForming."""

    text: str
    complaints: tuple[str, ...] = ()


def parse_resolver_config(text: str) -> ResolverConfig:
    """Read a resolv.conf(5); the last `search` line wins, comments and unknown lines are skipped."""
    nameservers: list[str] = []
    searches: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word == "nameserver" and rest:
            nameservers.append(rest[0])
        elif word == "search":
            searches = tuple(name if name == "." else name.removesuffix(".") for name in rest)
        elif word == "options":
            options += rest
    return ResolverConfig(tuple(nameservers), searches, tuple(options))


def resolver_file(pod: Pod, *, host: ResolverConfig, cluster_dns: str, domain: str) -> ResolverFile:
    """The pod's file; `host` is the node's own configuration."""
    spec = pod.spec
    policy = spec.dns_policy
    if policy == "ClusterFirst" and spec.host_network:
        policy = "Default"
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet"):
        namespace = pod.metadata.namespace
        own = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain)
        base = ResolverConfig((cluster_dns,), (*own, *host.searches), ("ndots:5",))
    elif policy == "None":
        base = ResolverConfig()
    else:
        base = host
    return _limit(_merge(base, pod))


def _merge(base: ResolverConfig, pod: Pod) -> ResolverConfig:
    config = pod.spec.dns_config
    if config is None:
        return base
    options = {option.partition(":")[0]: option for option in base.options}
    for option in config.options or ():
        options[option.name] = f"{option.name}:{option.value}" if option.value else option.name
    return ResolverConfig(
        (*base.nameservers, *(config.nameservers or ())),
        (*base.searches, *(config.searches or ())),
        tuple(options.values()),
    )


def _limit(config: ResolverConfig) -> ResolverFile:
    complaints = []
    nameservers = tuple(dict.fromkeys(config.nameservers))
    if len(nameservers) > MAX_NAMESERVERS:
        nameservers = nameservers[:MAX_NAMESERVERS]
        complaints.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            f"the applied nameserver line is: {' '.join(nameservers)}"
        )
    searches = tuple(dict.fromkeys(config.searches))
    kept = _fit(searches)
    if kept != searches:
        complaints.append(
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(kept)}"
        )
    return ResolverFile(_render(ResolverConfig(nameservers, kept, config.options)), tuple(complaints))


def _fit(searches: tuple[str, ...]) -> tuple[str, ...]:
    kept = searches[:MAX_SEARCHES]
    while len(" ".join(kept)) > MAX_SEARCH_CHARACTERS:
        kept = kept[:-1]
    return kept


def _render(config: ResolverConfig) -> str:
    lines = []
    if config.searches:
        lines.append(f"search {' '.join(config.searches)}")
    lines += [f"nameserver {address}" for address in config.nameservers]
    if config.options:
        lines.append(f"options {' '.join(config.options)}")
    return "".join(f"{line}\n" for line in lines)
