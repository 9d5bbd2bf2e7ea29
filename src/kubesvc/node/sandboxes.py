"""Making a pod's sandbox: an address, the files, the namespaces."""

from typing import TYPE_CHECKING

from msgspec.structs import replace

from kubesvc.aio.backoff import backoff
from kubesvc.node.hostnames import kernel_hostname
from kubesvc.node.ipam import NoAddressLeft
from kubesvc.node.runtime.protocol import NetworkSpec, SandboxSpec
from kubesvc.node.runtime.sandbox import SandboxGone
from kubesvc.node.runtime.sandboxdir import prepare
from kubesvc.observe import log

if TYPE_CHECKING:
    from kubesvc.node.worker import PodWorker

_log = log("node.sandbox")
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 60.0


async def make_sandbox(worker: "PodWorker") -> None:
    """Give the pod its sandbox; a failure becomes an Event and a later try."""
    context, pod = worker.context, worker.pod
    host = pod.spec.host_network
    address = ""
    try:
        address = context.options.node_ip if host else context.addresses.take()
        prepare(worker.files.directory)
        resolver = worker.files.write_etc(pod, "" if host else address)
        sandbox, _ = await context.runtime.make(_spec(worker, None if host else address))
    except (OSError, NoAddressLeft, SandboxGone) as err:
        if not host:
            context.addresses.release(address)
        failures = worker.record.failures + 1
        delay = backoff(failures, first=_FIRST_DELAY, longest=_LONGEST_DELAY)
        worker.record = replace(worker.record, failures=failures, retry_at=context.clock.monotonic() + delay)
        worker.event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {err}")
        _log.warning("no sandbox", pod=worker.name, reason=err)
        return
    worker.join(sandbox, address)
    for complaint in resolver.complaints:
        worker.event("Warning", "DNSConfigForming", complaint)


def _spec(worker: "PodWorker", address: str | None) -> SandboxSpec:
    context, pod = worker.context, worker.pod
    meta = pod.metadata
    network = None
    if address is not None:
        network = NetworkSpec(address, link_name(address), context.options.node_ip, context.mtu)
    name = context.options.node_name if address is None else kernel_hostname(pod, context.options.cluster_domain)
    return SandboxSpec(
        uid=meta.uid,
        namespace=meta.namespace,
        name=meta.name,
        hostname=name[:64],
        directory=str(worker.files.directory),
        network=network,
        attempt=worker.record.attempt,
    )


def link_name(address: str) -> str:
    """The host end of a pod's veth pair, named by the address so that a person finds it: `pod0af40105`."""
    return "pod" + "".join(f"{int(part):02x}" for part in address.split("."))
