"""What the API server itself puts into the cluster and keeps right: namespaces, ServiceCIDR, `default/kubernetes`."""

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address

from kubesvc.api import resources as r
from kubesvc.api.addresses import Network, family_of
from kubesvc.api.resources import Resource
from kubesvc.api.status import NotFound
from kubesvc.api.times import time_text
from kubesvc.apiserver.documents import Document
from kubesvc.apiserver.objects import Objects
from kubesvc.apiserver.request import User

SYSTEM = User("system:apiserver", ("system:masters", "system:authenticated"))
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_NAME = "kubernetes"
_LABELS = {"component": "apiserver", "provider": "kubernetes"}
_SKIP_MIRROR = {"endpointslice.kubernetes.io/skip-mirror": "true"}


class Bootstrap:
    """Creates what is missing and repairs what differs; running it again changes nothing."""

    def __init__(self, objects: Objects, cidrs: Sequence[Network], *, address: str, port: int) -> None:
        self._objects = objects
        self._cidrs = cidrs
        self._address = address
        self._port = port

    async def run(self, now: datetime) -> None:
        for name in NAMESPACES:
            await self._ensure(r.NAMESPACES, "", {"metadata": {"name": name}})
        await self._ensure_cidr(now)
        await self._ensure(r.SERVICES, "default", self._service())
        if self._is_reachable():
            await self._keep_endpoints()

    def _is_reachable(self) -> bool:
        """Nothing but this host reaches a loopback address, and Endpoints may not name one."""
        return not ip_address(self._address).is_loopback

    async def _keep_endpoints(self) -> None:
        await self._keep(r.ENDPOINTS, self._endpoints(), ("subsets",))
        await self._keep(r.ENDPOINTSLICES, self._slice(), ("addressType", "endpoints", "ports"))

    async def _ensure_cidr(self, now: datetime) -> None:
        spec = {"cidrs": [str(cidr) for cidr in self._cidrs]}
        metadata = {"name": _NAME, "finalizers": ["networking.k8s.io/service-cidr-finalizer"]}
        if not await self._ensure(r.SERVICECIDRS, "", {"metadata": metadata, "spec": spec}):
            return
        ready = {
            "type": "Ready", "status": "True", "reason": "", "lastTransitionTime": time_text(now),
            "message": "Kubernetes default Service CIDR is ready",
        }  # fmt: skip

        def change(old: Document) -> Document:
            return {**old, "metadata": dict(old["metadata"]), "status": {"conditions": [ready]}}

        await self._objects.update(r.SERVICECIDRS, "", _NAME, change, subresource="status")

    async def _ensure(self, resource: Resource, namespace: str, document: Document) -> bool:
        """Create the object unless it is there; whether it was created."""
        if self._objects.latest(resource, namespace, document["metadata"]["name"]) is not None:
            return False
        await self._objects.create(resource, namespace, document, user=SYSTEM)
        return True

    async def _keep(self, resource: Resource, wanted: Document, fields: Sequence[str]) -> None:
        """Make `fields` of the object what is wanted, leaving the rest of it alone."""

        def change(old: Document) -> Document:
            labels = {**(old["metadata"].get("labels") or {}), **wanted["metadata"]["labels"]}
            metadata = {**old["metadata"], "labels": labels}
            return {**old, "metadata": metadata, **{field: wanted[field] for field in fields}}

        try:
            await self._objects.update(resource, "default", _NAME, change)
        except NotFound:
            await self._ensure(resource, "default", wanted)

    def _service(self) -> Document:
        spec = {
            "type": "ClusterIP",
            "clusterIP": str(self._cidrs[0].network_address + 1),
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": self._port}],
        }
        return {"metadata": {"name": _NAME, "labels": dict(_LABELS)}, "spec": spec}

    def _endpoints(self) -> Document:
        ports = [{"name": "https", "port": self._port, "protocol": "TCP"}]
        subsets = [{"addresses": [{"ip": self._address}], "ports": ports}]
        return {"metadata": {"name": _NAME, "labels": dict(_SKIP_MIRROR)}, "subsets": subsets}

    def _slice(self) -> Document:
        return {
            "metadata": {"name": _NAME, "labels": {"kubernetes.io/service-name": _NAME}},
            "addressType": family_of(self._address),
            "endpoints": [{"addresses": [self._address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": self._port, "protocol": "TCP"}],
        }
