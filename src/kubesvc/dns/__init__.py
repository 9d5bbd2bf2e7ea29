"""The cluster's DNS: Services, endpoints and pods as names (Kubernetes DNS specification 1.1.0)."""

from kubesvc.dns.options import DnsOptions
from kubesvc.dns.run import run

__all__ = ["DnsOptions", "run"]
