"""What a path and its method ask for."""

import pytest

from kubesvc.api import resources as r
from kubesvc.api.status import BadRequest
from kubesvc.apiserver.negotiation import Form, Format, negotiate
from kubesvc.apiserver.request import Call, parse_query, parse_target


@pytest.mark.parametrize(
    ("path", "resource", "namespace", "name", "subresource"),
    [
        ("/api/v1/namespaces", r.NAMESPACES, "", "", ""),
        ("/api/v1/namespaces/x", r.NAMESPACES, "", "x", ""),
        ("/api/v1/namespaces/x/finalize", r.NAMESPACES, "", "x", "finalize"),
        ("/api/v1/namespaces/x/status", r.NAMESPACES, "", "x", "status"),
        ("/api/v1/namespaces/x/pods", r.PODS, "x", "", ""),
        ("/api/v1/namespaces/x/pods/p/log", r.PODS, "x", "p", "log"),
        ("/api/v1/services", r.SERVICES, "", "", ""),
        ("/apis/apps/v1/namespaces/x/deployments/d/scale", r.DEPLOYMENTS, "x", "d", "scale"),
        ("/apis/networking.k8s.io/v1/ipaddresses/10.0.0.1", r.IPADDRESSES, "", "10.0.0.1", ""),
        ("/api/v1/namespaces/status/services/s", r.SERVICES, "status", "s", ""),
    ],
)
def test_a_path_names_a_resource(path: str, resource: r.Resource, namespace: str, name: str, subresource: str) -> None:
    target = parse_target(path)
    assert target
    assert (target.resource, target.namespace, target.name, target.subresource) == (
        resource, namespace, name, subresource,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/", "/healthz", "/api", "/api/v1", "/apis/apps", "/apis/apps/v1", "/openapi/v3"])
def test_other_paths_name_none(path: str) -> None:
    assert parse_target(path) is None


def test_an_unknown_resource_is_told_from_no_resource() -> None:
    target = parse_target("/apis/batch/v1/namespaces/x/jobs")
    assert target
    assert (target.resource, target.group_resource) == (None, "jobs.batch")


@pytest.mark.parametrize(
    ("method", "path", "query", "verb"),
    [
        ("GET", "/api/v1/pods", "", "list"),
        ("GET", "/api/v1/pods", "watch=true", "watch"),
        ("GET", "/api/v1/pods", "watch=0", "list"),
        ("GET", "/api/v1/nodes/n", "", "get"),
        ("DELETE", "/api/v1/namespaces/x/pods", "", "deletecollection"),
        ("DELETE", "/api/v1/namespaces/x/pods/p", "", "delete"),
        ("PATCH", "/api/v1/namespaces/x/pods/p", "", "patch"),
    ],
)
def test_method_and_path_make_the_verb(method: str, path: str, query: str, verb: str) -> None:
    assert Call(method, path, parse_query(query), target=parse_target(path)).verb == verb


def test_dry_run_is_all_or_nothing() -> None:
    assert Call("POST", "/", {"dryRun": "All"}).dry_run
    with pytest.raises(BadRequest, match="dryRun"):
        _ = Call("POST", "/", {"dryRun": "Some"}).dry_run


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", Format()),
        ("*/*", Format()),
        ("application/vnd.kubernetes.protobuf,application/json", Format()),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Format("json", Form.TABLE)),
        ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", Format()),
        ("application/json;q=0.5,application/yaml", Format("yaml")),
    ],
)
def test_the_first_offered_alternative_is_the_format(accept: str, chosen: Format) -> None:
    assert negotiate(accept) == chosen
