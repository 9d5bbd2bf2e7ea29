"""`kubesvc expose`: a Service for the pods of a Deployment, ReplicaSet, Pod or Service."""

import argparse
from typing import TYPE_CHECKING, Any

from kubesvc.api.resources import SERVICES
from kubesvc.cli import exits
from kubesvc.cli.access import add_access, namespace_of
from kubesvc.cli.exits import Refusal
from kubesvc.cli.session import with_client
from kubesvc.cli.targets import parse_targets

if TYPE_CHECKING:
    from kubesvc.client.rest import Client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="+", metavar="TYPE/NAME", help="such as deploy/web or pod web")
    parser.add_argument("--port", type=int, help="the Service's port (default: the container's)")
    parser.add_argument("--target-port", default="", help="the pods' port, number or name (default: --port)")
    parser.add_argument("--protocol", choices=("TCP", "UDP"), default="TCP", help="of the port")
    parser.add_argument("--type", choices=("ClusterIP", "NodePort", "LoadBalancer"), default="ClusterIP",
                        help="of the Service")  # fmt: skip
    parser.add_argument("--name", default="", help="the Service's name (default: the object's)")
    add_access(parser)


def run(args: argparse.Namespace) -> int:
    target = parse_targets(args.what)[0]
    namespace = namespace_of(args)

    async def body(client: "Client") -> int:
        exposed = await client.get(target.resource, target.name, namespace=namespace)
        document = service_document(exposed, args)
        await client.create(SERVICES, document, namespace=namespace)
        print(f"service/{document['metadata']['name']} exposed", flush=True)
        return exits.SUCCESS

    return with_client(args, body)


def service_document(exposed: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """The Service for `exposed`. Raises Refusal when it has no labels or no port is known."""
    spec = exposed.get("spec") or {}
    selector = (spec.get("selector") or {}).get("matchLabels") or exposed["metadata"].get("labels")
    if not selector:
        raise Refusal(f"{exposed['kind'].lower()} {exposed['metadata']['name']} has no labels to select by")
    port = args.port or _container_port(exposed)
    if not port:
        raise Refusal("couldn't find port via --port flag or introspection", "add --port")
    target_port: int | str = int(args.target_port) if args.target_port.isdecimal() else args.target_port or port
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": args.name or exposed["metadata"]["name"],
            "labels": exposed["metadata"].get("labels") or {},
        },
        "spec": {
            "type": args.type,
            "selector": selector,
            "ports": [{"port": port, "targetPort": target_port, "protocol": args.protocol}],
        },
    }


def _container_port(exposed: dict[str, Any]) -> int:
    spec = exposed.get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or spec
    ports = [port for container in pod.get("containers") or () for port in container.get("ports") or ()]
    return int(ports[0]["containerPort"]) if ports else 0
