"""P: a pod's hostname, its full name, and its /etc/hosts as the kubelet writes it."""

from kubesvc.api.views import Pod

_HEADER = "# Kubernetes-managed hosts file"
_LOOPBACK = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
)


def short_hostname(pod: Pod) -> str:
    """`spec.hostname`, else the pod's name, within the 63 characters of a label."""
    return pod.spec.hostname or pod.metadata.name[:63].rstrip("-.")


def pod_domain(pod: Pod, domain: str) -> str:
    """`<subdomain>.<namespace>.svc.<domain>`; "" for a pod without a subdomain."""
    return f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{domain}" if pod.spec.subdomain else ""


def kernel_hostname(pod: Pod, domain: str) -> str:
    """What `hostname` prints in the pod: the full name where `setHostnameAsFQDN` asks for it."""
    full = pod_domain(pod, domain)
    if pod.spec.set_hostname_as_fqdn and full:
        return f"{short_hostname(pod)}.{full}"
    return short_hostname(pod)


def hosts_file(pod: Pod, *, domain: str, addresses: tuple[str, ...], node_file: str) -> str:
    """The pod's /etc/hosts; a pod on the host's network gets the node's file plus its aliases."""
    if pod.spec.host_network:
        lines = [f"{_HEADER} (host network).", node_file.rstrip("\n")]
    else:
        name, full = short_hostname(pod), pod_domain(pod, domain)
        names = f"{name}.{full}\t{name}" if full else name
        lines = [f"{_HEADER}.", *_LOOPBACK, *(f"{address}\t{names}" for address in addresses)]
    aliases = pod.spec.host_aliases or ()
    if aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += [f"{alias.ip}\t" + "\t".join(alias.hostnames or ()) for alias in aliases]
    return "\n".join(lines) + "\n"
