"""Short ways to say the objects that tests are about; each returns a plain API document.

service("web", port=80, target_port=8080, node_port=30080)
endpoint_slice("web", "10.1.2.3@node-b", "10.1.2.4@node-a!notready", port=8080)
pod("web-1", ip="10.1.2.3", node="node-b", labels={"app": "web"}, ready=True)
node("node-a", ip="192.168.0.10", zone="a")
"""

from typing import Any

Document = dict[str, Any]


def service(
    name: str,
    *ports: Document,
    namespace: str = "default",
    port: int = 80,
    target_port: int | str | None = None,
    protocol: str = "TCP",
    node_port: int = 0,
    cluster_ip: str = "10.96.0.100",
    selector: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    load_balancer_ips: tuple[str, ...] = (),
    status: Document | None = None,
    **spec: Any,
) -> Document:
    """A Service; its type follows from `node_port` and `load_balancer_ips` unless `type=` is given."""
    if not ports:
        single: Document = {"port": port, "protocol": protocol, "targetPort": target_port or port}
        if node_port:
            single["nodePort"] = node_port
        ports = (single,)
    kind = "LoadBalancer" if load_balancer_ips else "NodePort" if node_port else "ClusterIP"
    body: Document = {
        "type": kind,
        "ports": list(ports),
        "clusterIP": cluster_ip,
        "clusterIPs": [cluster_ip],
        "ipFamilies": ["IPv6" if ":" in cluster_ip else "IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "selector": {"app": name} if selector is None else selector,
    }
    if kind != "ClusterIP":
        body["externalTrafficPolicy"] = "Cluster"
    body |= spec
    ingress = [{"ip": ip, "ipMode": "VIP"} for ip in load_balancer_ips]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, namespace, labels, annotations),
        "spec": {key: value for key, value in body.items() if value is not None},
        "status": status or {"loadBalancer": {"ingress": ingress} if ingress else {}},
    }


def endpoint_slice(
    service_name: str,
    *endpoints: str | Document,
    name: str = "",
    namespace: str = "default",
    port: int | None = 80,
    port_name: str = "",
    protocol: str = "TCP",
    ports: list[Document] | None = None,
    address_type: str = "",
    labels: dict[str, str] | None = None,
) -> Document:
    """An EndpointSlice; an endpoint is a document or `ADDRESS[@NODE][!notready|!terminating|!gone]`.

    `!terminating` still serves, `!gone` is terminating and does not serve.
    """
    parsed = [parse_endpoint(entry) if isinstance(entry, str) else entry for entry in endpoints]
    first = parsed[0]["addresses"][0] if parsed else ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata(
            name or f"{service_name}-1",
            namespace,
            {"kubernetes.io/service-name": service_name} | (labels or {}),
        ),
        "addressType": address_type or ("IPv6" if ":" in first else "IPv4"),
        "endpoints": parsed,
        "ports": [{"name": port_name, "protocol": protocol, "port": port}] if ports is None else ports,
    }


def parse_endpoint(text: str) -> Document:
    """`10.0.0.1@node-a!notready` as an endpoint document."""
    rest, _, state = text.partition("!")
    address, _, node_name = rest.partition("@")
    ready, serving, terminating = {
        "": (True, True, False),
        "notready": (False, False, False),
        "terminating": (False, True, True),
        "gone": (False, False, True),
    }[state]
    endpoint: Document = {
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
    }
    if node_name:
        endpoint["nodeName"] = node_name
    return endpoint


def pod(
    name: str,
    *,
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    ip: str = "",
    node: str = "",
    ready: bool = True,
    phase: str = "",
    image: str = "kubesvc/echo",
    ports: list[Document] | None = None,
    owner: Document | None = None,
    deleting: bool = False,
    **spec: Any,
) -> Document:
    """A pod of one container; with an `ip` it runs, and is ready unless said otherwise."""
    meta = metadata(name, namespace, labels)
    if owner is not None:
        meta["ownerReferences"] = [owner_reference(owner)]
    if deleting:
        meta |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
    container: Document = {"name": "main", "image": image}
    if ports:
        container["ports"] = ports
    body: Document = {"containers": [container], "restartPolicy": "Always"} | ({"nodeName": node} if node else {})
    status: Document = {"phase": phase or ("Running" if ip else "Pending")}
    if ip:
        word = "True" if ready else "False"
        status |= {
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": word}, {"type": "ContainersReady", "status": word}],
        }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body | spec, "status": status}


def node(
    name: str, *, ip: str = "", zone: str = "", labels: dict[str, str] | None = None, ready: bool = True, **spec: Any
) -> Document:
    """A node with an internal address and a Ready condition."""
    own = {"kubernetes.io/hostname": name} | ({"topology.kubernetes.io/zone": zone} if zone else {})
    addresses = [{"type": "InternalIP", "address": ip}] if ip else []
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata(name, "", own | (labels or {})),
        "spec": spec,
        "status": {
            "addresses": [*addresses, {"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def namespace(name: str, *, deleting: bool = False) -> Document:
    """An active or terminating namespace."""
    meta = metadata(name, "") | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {})
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": meta,
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Terminating" if deleting else "Active"},
    }


def metadata(
    name: str, namespace: str, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None
) -> Document:
    """Object metadata; an empty namespace is left out."""
    meta: Document = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    if labels:
        meta["labels"] = dict(labels)
    if annotations:
        meta["annotations"] = dict(annotations)
    return meta


def owner_reference(owner: Document) -> Document:
    """A controlling reference to `owner`."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"].get("uid", f"uid-{owner['metadata']['name']}"),
        "controller": True,
        "blockOwnerDeletion": True,
    }
