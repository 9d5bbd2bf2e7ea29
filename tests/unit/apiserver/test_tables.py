"""Tables: kubectl's columns for every resource, and how much of the objects comes along."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubesvc.api import resources as r
from kubesvc.apiserver.printers import table, table_columns

Document = dict[str, Any]
NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)


def cells(resource: r.Resource, name: str = "web", labels: dict[str, str] | None = None, **fields: Any) -> list[Any]:
    """The cells of one object, a minute old."""
    metadata = {"name": name, "creationTimestamp": "2026-11-22T12:59:00Z", "labels": labels or {}}
    found: list[Any] = table(resource, [{"metadata": metadata, **fields}], NOW)["rows"][0]["cells"]
    return found


COLUMNS = {
    r.SERVICES: "Name Type Cluster-IP External-IP Port(s) Age | Selector",
    r.PODS: "Name Ready Status Restarts Age | IP Node Nominated-Node Readiness-Gates",
    r.ENDPOINTS: "Name Endpoints Age |",
    r.ENDPOINTSLICES: "Name AddressType Ports Endpoints Age |",
    r.NODES: "Name Status Roles Age Version | Internal-IP External-IP OS-Image Kernel-Version Container-Runtime",
    r.NAMESPACES: "Name Status Age |",
    r.DEPLOYMENTS: "Name Ready Up-to-date Available Age | Containers Images Selector",
    r.REPLICASETS: "Name Desired Current Ready Age | Containers Images Selector",
    r.SERVICECIDRS: "Name CIDRs Age |",
    r.IPADDRESSES: "Name ParentRef |",
    r.EVENTS: "Last-Seen Type Reason Object Message | Subobject Source First-Seen Count Name",
    r.CONFIGMAPS: "Name Data Age |",
    r.SECRETS: "Name Type Data Age |",
    r.SERVICEACCOUNTS: "Name Age |",
    r.LEASES: "Name Holder Age |",
}


@pytest.mark.parametrize("resource", r.RESOURCES, ids=lambda resource: resource.plural)
def test_the_columns_are_kubectls(resource: r.Resource) -> None:
    columns = table_columns(resource)
    shown, wide = ([c.name.replace(" ", "-") for c in columns if c.priority == p] for p in (0, 1))
    assert " ".join([*shown, "|", *wide]) == COLUMNS[resource]
    assert [column.format for column in columns if column.name == "Name"] == ["name"]


@pytest.mark.parametrize("resource", r.RESOURCES, ids=lambda resource: resource.plural)
def test_even_a_bare_object_fills_every_column(resource: r.Resource) -> None:
    shown = table(resource, [{"metadata": {}}], NOW)
    assert len(shown["rows"][0]["cells"]) == len(shown["columnDefinitions"])


# Services


def service(ports: list[Document] | None = None, ingress: list[Document] | None = None, **spec: Any) -> list[Any]:
    spec = {"type": "ClusterIP", "ports": ports or [{"port": 80, "protocol": "TCP"}]} | spec
    return cells(r.SERVICES, spec=spec, status={"loadBalancer": {"ingress": ingress or []}})


def test_a_cluster_ip_service() -> None:
    assert service(clusterIP="10.96.0.1", clusterIPs=["10.96.0.1"], selector={"b": "2", "a": "1"}) == [
        "web", "ClusterIP", "10.96.0.1", "<none>", "80/TCP", "60s", "a=1,b=2",
    ]  # fmt: skip


def test_node_ports_follow_the_port() -> None:
    ports = [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    row = service(ports, type="NodePort")
    assert (row[2], row[4], row[6]) == ("<none>", "80:30080/TCP,53/UDP", "<none>")


@pytest.mark.parametrize(
    ("spec", "ingress", "text"),
    [
        ({"type": "NodePort", "externalIPs": ["192.0.2.1", "192.0.2.2"]}, [], "192.0.2.1,192.0.2.2"),
        ({"type": "LoadBalancer"}, [], "<pending>"),
        ({"type": "LoadBalancer"}, [{"ip": "192.0.2.9"}, {"hostname": "a.b"}], "192.0.2.9,a.b"),
        ({"type": "LoadBalancer", "externalIPs": ["192.0.2.1"]}, [{"ip": "192.0.2.9"}], "192.0.2.9,192.0.2.1"),
        ({"type": "LoadBalancer", "externalIPs": ["192.0.2.1"]}, [], "192.0.2.1"),
        ({"type": "ExternalName", "externalName": "db.example.com"}, [], "db.example.com"),
    ],
)
def test_the_external_address(spec: Document, ingress: list[Document], text: str) -> None:
    assert service(None, ingress, **spec)[3] == text


def test_no_ports_are_none() -> None:
    assert cells(r.SERVICES, spec={"type": "ExternalName", "externalName": "a.b"})[4] == "<none>"


# What is behind them


def endpoints(*subsets: Document) -> str:
    return str(cells(r.ENDPOINTS, subsets=list(subsets))[1])


def addresses(count: int) -> list[Document]:
    return [{"ip": f"10.0.0.{number}"} for number in range(1, count + 1)]


def test_three_endpoints_are_shown_and_the_others_counted() -> None:
    port = {"port": 80}
    assert endpoints() == "<none>"
    assert endpoints({"addresses": addresses(2), "ports": [port]}) == "10.0.0.1:80,10.0.0.2:80"
    assert endpoints({"addresses": addresses(3), "ports": [port, {"port": 81}]}) == (
        "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 3 more..."
    )
    assert endpoints({"addresses": addresses(1)}) == "10.0.0.1"
    assert endpoints({"addresses": [{"ip": "fd00::1"}], "ports": [port]}) == "[fd00::1]:80"
    assert endpoints({"notReadyAddresses": addresses(1), "ports": [port]}) == ""


def test_slices_show_ports_and_addresses() -> None:
    assert cells(r.ENDPOINTSLICES, addressType="IPv4") == ["web", "IPv4", "<unset>", "<unset>", "60s"]
    four = [{"addresses": [f"10.0.0.{number}"]} for number in range(1, 5)]
    ports = [{"port": 80, "name": "http"}, {"name": "named"}, {}]
    assert cells(r.ENDPOINTSLICES, addressType="IPv4", endpoints=four, ports=ports)[2:4] == [
        "80,named,*",
        "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...",
    ]


def test_ranges_and_addresses_of_services() -> None:
    assert cells(r.SERVICECIDRS, spec={"cidrs": ["10.96.0.0/16", "fd00::/112"]})[1] == "10.96.0.0/16,fd00::/112"
    parent = {"resource": "services", "namespace": "shop", "name": "web"}
    assert cells(r.IPADDRESSES, "10.96.0.1", spec={"parentRef": parent}) == ["10.96.0.1", "services/shop/web"]


# Workloads, nodes, the rest


TEMPLATE: Document = {
    "replicas": 3,
    "selector": {"matchLabels": {"app": "web"}},
    "template": {"spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"}]}},
}


def test_workloads_show_how_far_they_are() -> None:
    status = {"replicas": 3, "readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2}
    tail = ["60s", "a,b", "x:1,y:2", "app=web"]
    assert cells(r.DEPLOYMENTS, spec=TEMPLATE, status=status) == ["web", "2/3", 1, 2, *tail]
    assert cells(r.REPLICASETS, spec=TEMPLATE, status=status) == ["web", 3, 3, 2, *tail]


@pytest.mark.parametrize(
    ("ready", "unschedulable", "text"),
    [
        ("True", False, "Ready"),
        ("False", False, "NotReady"),
        ("Unknown", True, "NotReady,SchedulingDisabled"),
        ("True", True, "Ready,SchedulingDisabled"),
        (None, False, "Unknown"),
    ],
)
def test_a_node_is_ready_or_not_and_may_be_cordoned(ready: str | None, unschedulable: bool, text: str) -> None:
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    status = {"conditions": conditions}
    assert cells(r.NODES, spec={"unschedulable": unschedulable}, status=status)[1] == text


def test_a_node_shows_roles_addresses_and_versions() -> None:
    labels = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}
    status = {
        "addresses": [{"type": "InternalIP", "address": "10.89.0.11"}],
        "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian"},
    }
    assert cells(r.NODES, labels=labels, status=status)[2:] == [
        "control-plane,worker", "60s", "v1.36.0", "10.89.0.11", "<none>", "Debian", "<unknown>", "<unknown>",
    ]  # fmt: skip
    assert cells(r.NODES)[2] == "<none>"


def test_an_event_says_what_happened_to_whom() -> None:
    event: Document = {
        "type": "Warning",
        "reason": "Unhealthy",
        "message": "probe failed\n",
        "involvedObject": {"kind": "Pod", "name": "web-1", "fieldPath": "spec.containers{c}"},
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": "2026-11-22T12:50:00Z",
        "lastTimestamp": "2026-11-22T12:59:30Z",
        "count": 4,
    }
    assert cells(r.EVENTS, "e", **event) == [
        "30s", "Warning", "Unhealthy", "pod/web-1", "probe failed", "spec.containers{c}", "kubelet, node-1", "10m", 4,
        "e",
    ]  # fmt: skip


def test_events_of_the_new_kind_count_their_series() -> None:
    single = cells(r.EVENTS, eventTime="2026-11-22T12:59:00.000000Z", reportingComponent="proxy")
    assert (single[0], single[6], single[8]) == ("60s", "proxy", 1)
    series = {"count": 7, "lastObservedTime": "2026-11-22T12:59:50.000000Z"}
    repeated = cells(r.EVENTS, eventTime="2026-11-22T12:59:00.000000Z", series=series)
    assert (repeated[0], repeated[7], repeated[8]) == ("10s", "60s", 7)


def test_the_small_kinds() -> None:
    assert cells(r.CONFIGMAPS, data={"a": "x"}, binaryData={"b": "YQ=="}) == ["web", 2, "60s"]
    assert cells(r.SECRETS, type="Opaque", data={"a": "YQ=="}) == ["web", "Opaque", 1, "60s"]
    assert cells(r.SERVICEACCOUNTS) == ["web", "60s"]
    assert cells(r.LEASES, spec={"holderIdentity": "node-1"}) == ["web", "node-1", "60s"]
    assert cells(r.NAMESPACES, status={"phase": "Active"}) == ["web", "Active", "60s"]


# The table itself


OBJECT: Document = {"metadata": {"name": "web", "uid": "u"}, "data": {"a": "x"}}


def test_rows_carry_as_much_of_the_object_as_was_asked_for() -> None:
    def row(include: str) -> Document:
        found: Document = table(r.CONFIGMAPS, [OBJECT], NOW, include_object=include)["rows"][0]
        return found

    assert "object" not in row("None")
    assert row("Metadata")["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": OBJECT["metadata"],
    }
    assert row("Object")["object"] == {"kind": "ConfigMap", "apiVersion": "v1", **OBJECT}


def test_later_tables_of_a_watch_have_no_headers() -> None:
    assert table(r.CONFIGMAPS, [OBJECT], NOW, with_headers=False)["columnDefinitions"] == []


def test_a_page_says_how_to_go_on() -> None:
    shown = table(r.CONFIGMAPS, [], NOW, resource_version="7", continue_token="t", remaining=3)
    assert shown["metadata"] == {"resourceVersion": "7", "continue": "t", "remainingItemCount": 3}
    assert (shown["kind"], shown["apiVersion"], shown["rows"]) == ("Table", "meta.k8s.io/v1", [])
