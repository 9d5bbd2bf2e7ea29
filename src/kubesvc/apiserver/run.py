"""The API server as a process: put together, started, kept, stopped."""

import contextlib
import socket
import ssl
import uuid
from collections.abc import Mapping, Sequence
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
from kubesvc.apiserver.cluster_ips import ClusterIPs
from kubesvc.apiserver.documents import from_record, is_terminating
from kubesvc.apiserver.housekeeping import Housekeeping
from kubesvc.apiserver.keys import prefix_of
from kubesvc.apiserver.kinds import CreatesOnUpdate, LeaseKind, Returned
from kubesvc.apiserver.kubelets import KubeletAccess, Kubelets
from kubesvc.apiserver.namespaces import NamespaceKind
from kubesvc.apiserver.node_ports import NodePorts
from kubesvc.apiserver.objects import Objects
from kubesvc.apiserver.options import ApiServerOptions, CannotStart
from kubesvc.apiserver.pod_actions import PodActions
from kubesvc.apiserver.pods import PodKind
from kubesvc.apiserver.request import User
from kubesvc.apiserver.resources import ResourceApi
from kubesvc.apiserver.reviews import Reviews
from kubesvc.apiserver.scale import ScaleApi
from kubesvc.apiserver.server import HttpServer, open_listener, tls_context
from kubesvc.apiserver.services import ServiceKind
from kubesvc.apiserver.system import SystemPaths, custom_resources
from kubesvc.apiserver.token_request import TokenRequests
from kubesvc.apiserver.tokens import Signer
from kubesvc.store.sqlite import SqliteBackend
from kubesvc.store.types import Backend, StorageFailed

__all__ = ["ApiServerOptions", "CannotStart", "run"]

_log = observe.log("apiserver")


async def run(options: ApiServerOptions) -> None:
    """Serve the API until cancelled. Raises CannotStart, and OSError for files that cannot be read."""
    tls = _tls(options)
    async with contextlib.AsyncExitStack() as stack:
        listeners = options.listeners or (stack.enter_context(_listener(options)),)
        backend = _open(options)
        stack.push_async_callback(backend.close)
        await _serve(options, backend, listeners, tls)


async def _serve(
    options: ApiServerOptions, backend: SqliteBackend, listeners: Sequence[socket.socket], tls: ssl.SSLContext
) -> None:
    clock, metrics = SystemClock(), observe.Registry()
    objects = build_objects(backend, options, clock, SystemRandom())
    kubelets = build_kubelets(objects, options)
    server = HttpServer(build_api(objects, kubelets, options, clock, metrics), clock, metrics)
    housekeeping = Housekeeping(backend, build_bootstrap(objects, options), clock, event_ttl=options.event_ttl)
    try:
        await housekeeping.run_once()
        await server.listen(listeners, tls)
        _log.info("serving", addresses=",".join(str(one.getsockname()) for one in listeners))
        await housekeeping.run()
    finally:
        await server.close()
        await kubelets.close()


def _listener(options: ApiServerOptions) -> socket.socket:
    try:
        return open_listener(options.bind_address, options.port)
    except OSError as err:
        what = f"cannot listen on {options.bind_address} port {options.port}: {err.strerror or err}"
        raise CannotStart(what, "name another --bind-address or --secure-port") from err


def _tls(options: ApiServerOptions) -> ssl.SSLContext:
    for path in (options.tls_cert, options.tls_key):
        path.open("rb").close()  # its OSError names the file, OpenSSL's does not
    try:
        return tls_context(options.tls_cert, options.tls_key)
    except ssl.SSLError as err:
        what = f"{options.tls_cert} and {options.tls_key} are not a certificate and its private key in PEM: {err}"
        raise CannotStart(what) from err


def _open(options: ApiServerOptions) -> SqliteBackend:
    try:
        return SqliteBackend.open(options.database, durability=options.durability)
    except StorageFailed as err:
        hints = {
            "locked": "another API server runs on it; stop that one or name another --database",
            "not a database": "move it away to begin with an empty cluster, or name another --database",
            "No such file": "its directory must exist",
            "Permission denied": "its directory must be writable",
        }
        hint = next((hint for words, hint in hints.items() if words in str(err)), "")
        raise CannotStart(str(err), hint) from err


def build_objects(backend: Backend, options: ApiServerOptions, clock: Clock, random: Random) -> Objects:
    """The registry of all kinds over one store."""
    low, high = options.node_port_range
    addresses = ClusterIPs(
        backend, lambda: _ranges(backend, options), random, clock.now, new_uid=lambda: str(uuid.uuid4())
    )
    ports = NodePorts(backend, PortRange(low, high), random)
    kinds = {
        r.SERVICES: ServiceKind(backend, addresses, ports),
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
    authenticator = Authenticator(_tokens(options), signer, clock, objects.latest)
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
    system = SystemPaths(metrics, {"ping": lambda: True, "store": lambda: objects.backend.healthy})
    virtual = {
        **Reviews(authenticator).by_resource,
        "customresourcedefinitions.apiextensions.k8s.io": custom_resources,
    }
    return Api(authenticator, resources, system, subresources, virtual)


def build_kubelets(objects: Objects, options: ApiServerOptions) -> Kubelets:
    """The way to the node agents."""
    return Kubelets(objects, KubeletAccess(options.kubelet_token_file, options.kubelet_ca or options.ca_cert))


def build_bootstrap(objects: Objects, options: ApiServerOptions) -> Bootstrap:
    """What keeps the server's own objects."""
    cidrs = _cidrs(options.service_cidr)
    return Bootstrap(objects, cidrs, address=options.advertise_address, port=options.advertise_port)


def _tokens(options: ApiServerOptions) -> Mapping[str, User]:
    try:
        return read_tokens(options.tokens_file)
    except ValueError as err:
        hint = 'a tokens file is JSON: {"<token>": {"user": "<name>", "groups": ["<group>"]}}'
        raise CannotStart(str(err), hint) from err


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
