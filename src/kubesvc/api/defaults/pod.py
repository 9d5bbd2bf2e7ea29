"""Defaults of Pods and pod templates (API reference, PodSpec and Container)."""

from collections.abc import Iterator

from kubesvc.api.defaults.fields import Document, child, each, ensure, ensure_filled
from kubesvc.api.quantity import canonical_quantity

CONTAINER_FIELDS = ("initContainers", "containers", "ephemeralContainers")
_MODE_0644 = 420
VOLUME_SOURCES = (
    "hostPath", "emptyDir", "configMap", "secret", "downwardAPI", "projected", "persistentVolumeClaim", "nfs", "csi",
    "ephemeral", "image", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "iscsi", "glusterfs", "rbd",
    "flexVolume", "cinder", "cephfs", "flocker", "fc", "azureFile", "azureDisk", "vsphereVolume", "quobyte",
    "photonPersistentDisk", "portworxVolume", "scaleIO", "storageos",
)  # fmt: skip


def default_pod(pod: Document) -> None:
    """What a pod gets beyond its template: an account, links, requests from limits, ports of the host network."""
    spec = ensure(pod, "spec", {})
    _default_pod_spec(spec)
    for container in (*each(spec, "initContainers"), *each(spec, "containers")):
        _default_requests(container["resources"])
        if spec.get("hostNetwork"):
            _default_host_ports(container)
    if not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"] = "default"
    ensure(spec, "enableServiceLinks", True)
    ensure_filled(ensure(pod, "status", {}), "phase", "Pending")


def default_template(template: Document) -> None:
    """The defaults of a pod template; a pod made from it gets the rest."""
    ensure(template, "metadata", {})
    _default_pod_spec(ensure(template, "spec", {}))


def _default_pod_spec(spec: Document) -> None:
    ensure_filled(spec, "restartPolicy", "Always")
    ensure(spec, "terminationGracePeriodSeconds", 30)
    ensure_filled(spec, "dnsPolicy", "ClusterFirst")
    ensure(spec, "securityContext", {})
    ensure_filled(spec, "schedulerName", "default-scheduler")
    _default_service_account(spec)
    for volume in each(spec, "volumes"):
        _default_volume(volume)
    for container in _containers(spec):
        _default_container(container)


def _default_service_account(spec: Document) -> None:
    """`serviceAccount` is the old spelling of `serviceAccountName`; both are kept alike."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def _containers(spec: Document) -> Iterator[Document]:
    for field in CONTAINER_FIELDS:
        yield from each(spec, field)


def _default_container(container: Document) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = default_pull_policy(container.get("image") or "")
    ensure_filled(container, "terminationMessagePath", "/dev/termination-log")
    ensure_filled(container, "terminationMessagePolicy", "File")
    _canonicalize(ensure(container, "resources", {}))
    for port in each(container, "ports"):
        ensure_filled(port, "protocol", "TCP")
    for variable in each(container, "env"):
        _default_field_ref(child(variable, "valueFrom"))
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe) is not None:
            _default_probe(container[probe])
    for handler in child(container, "lifecycle").values():
        if isinstance(handler, dict):
            _default_http_get(handler)


def default_pull_policy(image: str) -> str:
    """`Always` for `:latest` or no tag at all, as upstream decides."""
    reference, at, _ = image.partition("@")
    _, _, last = reference.rpartition("/")
    _, colon, tag = last.partition(":")
    floating = tag == "latest" or not (colon or at)
    return "Always" if floating else "IfNotPresent"


def _default_probe(probe: Document) -> None:
    ensure_filled(probe, "timeoutSeconds", 1)
    ensure_filled(probe, "periodSeconds", 10)
    ensure_filled(probe, "successThreshold", 1)
    ensure_filled(probe, "failureThreshold", 3)
    _default_http_get(probe)
    if probe.get("grpc") is not None:
        ensure(probe["grpc"], "service", "")


def _default_http_get(handler: Document) -> None:
    if handler.get("httpGet") is not None:
        ensure_filled(handler["httpGet"], "path", "/")
        ensure_filled(handler["httpGet"], "scheme", "HTTP")


def _default_field_ref(source: Document) -> None:
    if source.get("fieldRef") is not None:
        ensure_filled(source["fieldRef"], "apiVersion", "v1")


def _default_requests(resources: Document) -> None:
    for name, amount in child(resources, "limits").items():
        ensure(resources, "requests", {}).setdefault(name, amount)


def _default_host_ports(container: Document) -> None:
    for port in each(container, "ports"):
        if not port.get("hostPort"):
            port["hostPort"] = port.get("containerPort", 0)


def _canonicalize(resources: Document) -> None:
    for field in ("limits", "requests"):
        amounts = child(resources, field)
        for name, amount in amounts.items():
            try:
                amounts[name] = canonical_quantity(amount)
            except ValueError:
                continue  # validation says what is wrong with it


def _default_volume(volume: Document) -> None:
    if all(volume.get(source) is None for source in VOLUME_SOURCES):
        volume["emptyDir"] = {}
    for field in ("configMap", "secret", "downwardAPI", "projected"):
        if volume.get(field) is not None:
            ensure(volume[field], "defaultMode", _MODE_0644)
    if volume.get("hostPath") is not None:
        ensure(volume["hostPath"], "type", "")
    for item in each(child(volume, "downwardAPI"), "items"):
        _default_field_ref(item)
    for source in each(child(volume, "projected"), "sources"):
        if source.get("serviceAccountToken") is not None:
            ensure(source["serviceAccountToken"], "expirationSeconds", 3600)
        for item in each(child(source, "downwardAPI"), "items"):
            _default_field_ref(item)
