"""The API server as a process: put together, started, kept, stopped."""

import uuid
from collections.abc import Sequence
from ipaddress import ip_network
from random import Random, SystemRandom

from kubesvc import observe
from kubesvc.aio.clock import Clock, SystemClock
from kubesvc.api import resources as r
from kubesvc.api.addresses import Network, parse_lenient_cidr
from kubesvc.apiserver.allocator import AddressRange, PortRange
from kubesvc.apiserver.api import Api
from kubesvc.apiserver.authentication import Authenticator, read_tokens
from kubesvc.apiserver.bootstrap import Bootstrap
from kubesvc.apiserver.documents import from_record, is_terminating
from kubesvc.apiserver.housekeeping import Housekeeping
from kubesvc.apiserver.keys import prefix_of
from kubesvc.apiserver.kinds import CreatesOnUpdate, LeaseKind, Returned
from kubesvc.apiserver.kubelets import KubeletAccess, Kubelets
from kubesvc.apiserver.namespaces import NamespaceKind
from kubesvc.apiserver.objects import Objects
from kubesvc.apiserver.options import ApiServerOptions
from kubesvc.apiserver.pod_actions import PodActions
from kubesvc.apiserver.pods import PodKind
from kubesvc.apiserver.resources import ResourceApi
from kubesvc.apiserver.reviews import Reviews
from kubesvc.apiserver.scale import ScaleApi
from kubesvc.apiserver.server import HttpServer, open_listener, tls_context
from kubesvc.apiserver.services import ServiceKind
from kubesvc.apiserver.system import SystemPaths
from kubesvc.apiserver.token_request import TokenRequests
from kubesvc.apiserver.tokens import Signer
from kubesvc.store import Backend, SqliteBackend

__all__ = ["ApiServerOptions", "run"]

_log = observe.log("apiserver")


async def run(options: ApiServerOptions) -> None:
    """Serve the API until cancelled."""
    clock = SystemClock()
    backend = SqliteBackend.open(options.database)
    metrics = observe.Registry()
    objects = build_objects(backend, options, clock, SystemRandom())
    kubelets = build_kubelets(objects, options)
    server = HttpServer(build_api(objects, kubelets, options, clock, metrics), clock, metrics)
    housekeeping = Housekeeping(backend, build_bootstrap(objects, options), clock, event_ttl=options.event_ttl)
    listeners = options.listeners or (open_listener(options.bind_address, options.port),)
    try:
        await housekeeping.run_once()
        await server.listen(listeners, tls_context(options.tls_cert, options.tls_key))
        _log.info("serving", addresses=",".join(str(one.getsockname()) for one in listeners))
        await housekeeping.run()
    finally:
        await server.close()
        await kubelets.close()
        await backend.close()


def build_objects(backend: Backend, options: ApiServerOptions, clock: Clock, random: Random) -> Objects:
    """The registry of all kinds over one store."""
    low, high = options.node_port_range
    services = ServiceKind(
        backend, lambda: _ranges(backend, options), PortRange(low, high), random, clock.now, lambda: str(uuid.uuid4())
    )
    kinds = {
        r.SERVICES: services,
        r.PODS: PodKind(backend, clock, random),
        r.NAMESPACES: NamespaceKind(),
        r.ENDPOINTS: CreatesOnUpdate(),
        r.EVENTS: CreatesOnUpdate(),
        r.LEASES: LeaseKind(),
        r.SERVICEACCOUNTS: Returned(),
    }
    return Objects(backend, kinds, clock, random)


def build_api(
    objects: Objects, kubelets: Kubelets, options: ApiServerOptions, clock: Clock, metrics: observe.Registry
) -> Api:
    """The API over a store, as `server` serves it."""
    signer = Signer(options.sa_signing_key.read_bytes())
    authenticator = Authenticator(read_tokens(options.tokens_file), signer, clock, objects.latest)
    scale, pods = ScaleApi(objects).handle, PodActions(objects, clock)
    subresources = {
        ("deployments", "scale"): scale,
        ("replicasets", "scale"): scale,
        ("pods", "binding"): pods.bind,
        ("pods", "eviction"): pods.evict,
        ("pods", "log"): kubelets.logs,
        ("pods", "exec"): kubelets.connect,
        ("pods", "attach"): kubelets.connect,
        ("pods", "portforward"): kubelets.connect,
        ("serviceaccounts", "token"): TokenRequests(objects, signer, clock).handle,
    }
    resources = ResourceApi(objects.backend, objects, clock, SystemRandom())
    system = SystemPaths(metrics, {"ping": lambda: True, "log": lambda: True, "etcd": lambda: True})
    return Api(authenticator, resources, system, subresources, Reviews(authenticator).by_resource)


def build_kubelets(objects: Objects, options: ApiServerOptions) -> Kubelets:
    """The way to the node agents."""
    return Kubelets(objects, KubeletAccess(options.kubelet_token_file, options.kubelet_ca or options.ca_cert))


def build_bootstrap(objects: Objects, options: ApiServerOptions) -> Bootstrap:
    """What keeps the server's own objects."""
    cidrs = _cidrs(options.service_cidr)
    return Bootstrap(objects, cidrs, address=options.advertise_address, port=options.advertise_port)


def _ranges(backend: Backend, options: ApiServerOptions) -> Sequence[AddressRange]:
    """The ranges of all ServiceCIDRs that are not on their way out; the configured ones before there are any."""
    found: dict[Network, None] = dict.fromkeys(_cidrs(options.service_cidr))
    for record in backend.list(prefix_of(r.SERVICECIDRS)).records:
        document = from_record(record)
        if not is_terminating(document):
            for text in document["spec"].get("cidrs") or ():
                network = parse_lenient_cidr(text)
                if network:
                    found[network] = None
    return [AddressRange(network) for network in found]


def _cidrs(text: str) -> Sequence[Network]:
    """One CIDR, or one per family separated by a comma; ValueError where it is none."""
    return [ip_network(part.strip()) for part in text.split(",")]
