"""The names of chains, made as kube-proxy makes them so that habits and tools keep working.

A chain's name is a prefix and 16 characters of the base32 SHA-256 of `namespace/name:port` + the
protocol in lower case (+ `address:port` for an endpoint's chain).
"""

import base64
import hashlib

from kubesvc.proxy.model import Family, ServicePortName, Target

SERVICES = "KUBE-SERVICES"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"
NODEPORTS = "KUBE-NODEPORTS"
POSTROUTING = "KUBE-POSTROUTING"
MARK_MASQ = "KUBE-MARK-MASQ"
FORWARD = "KUBE-FORWARD"
PROXY_FIREWALL = "KUBE-PROXY-FIREWALL"
FIREWALL = "KUBE-FIREWALL"
CLUSTER_IPS = "KUBE-CLUSTER-IPS"
"""Ours alone: what is left at a service CIDR; undefined ports of cluster addresses and unused addresses."""
REFUSE = "KUBE-REFUSE"
"""Ours alone: reject in the protocol's own way."""


def policy_chain(name: ServicePortName, *, local: bool) -> str:
    """The chain that chooses among the cluster's, or the local, endpoints."""
    return ("KUBE-SVL-" if local else "KUBE-SVC-") + _hash(_port(name))


def external_chain(name: ServicePortName) -> str:
    """The chain of traffic to node ports, load-balancer and external addresses."""
    return "KUBE-EXT-" + _hash(_port(name))


def firewall_chain(name: ServicePortName) -> str:
    """The chain that lets loadBalancerSourceRanges pass."""
    return "KUBE-FW-" + _hash(_port(name))


def entrances(name: ServicePortName) -> tuple[str, ...]:
    """The chains to which the shared chains send a port's connections."""
    policies = (policy_chain(name, local=local) for local in (False, True))
    return (*policies, external_chain(name), firewall_chain(name))


def endpoint_chain(name: ServicePortName, target: Target) -> str:
    """The chain that sends a connection to one endpoint."""
    return "KUBE-SEP-" + _hash(_port(name) + destination(target))


def destination(target: Target) -> str:
    """`address:port` as DNAT takes it."""
    return f"[{target.ip}]:{target.port}" if ":" in target.ip else f"{target.ip}:{target.port}"


def unreachable(family: Family) -> str:
    """The ICMP error of a port where nobody listens, as REJECT takes it."""
    return "icmp6-port-unreachable" if family is Family.IPV6 else "icmp-port-unreachable"


def _port(name: ServicePortName) -> str:
    return f"{name}{name.protocol.lower()}"


def _hash(text: str) -> str:
    # Ten bytes are sixteen characters.
    return base64.b32encode(hashlib.sha256(text.encode()).digest()[:10]).decode()
