"""`kubesvc trace`: one packet, walked through the rules that are in a node's kernel now."""

import argparse
import asyncio
import json
from typing import TYPE_CHECKING

from kubesvc.cli import exits
from kubesvc.cli.access import add_access, connect, kubeconfig_of, namespace_of
from kubesvc.cli.exits import Refusal

if TYPE_CHECKING:
    from kubesvc.cluster.topology import Topology
    from kubesvc.proxy.tracing import Question

_EPILOG = """\
The rules are those of the node where the packet is first translated: the node of the pod or node it comes from,
else the node that has the destination address, else the one that --node names. Nothing is sent and nothing changed.

  kubesvc trace --from pod/client --to svc/web
  kubesvc trace --from node/node-1 --to svc/web:http
  kubesvc trace --from 192.0.2.9 --to 10.89.0.11:30080 --protocol UDP

Exit code: 0 when endpoints answer, 3 when the packet is rejected, dropped, or meant for no Service.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add_access(parser)
    add = parser.add_argument
    add("--from", dest="origin", required=True, metavar="pod/NAME|node/NAME|ADDRESS", help="where the packet is from")
    add(
        "--to", required=True, metavar="svc/NAME[:PORT]|ADDRESS:PORT", help="where it is sent; a port by name or number"
    )
    add("--protocol", choices=("TCP", "UDP", "SCTP"), default="", help="the protocol (default: the port's own, or TCP)")
    add("--node", default="", metavar="NAME", help="walk through the rules of this node instead")
    add("-o", "--output", choices=("text", "json"), default="text", help="how to print it")


def run(args: argparse.Namespace) -> int:
    """Exit 0 when endpoints answer, 3 when none does."""
    from kubesvc.linux import netns
    from kubesvc.proxy.tracing import QuestionError, answer
    from kubesvc.proxy.verdict import document, render

    try:
        question = asyncio.run(_resolve(args))
    except QuestionError as err:
        raise Refusal(str(err), "kubesvc trace --help") from err
    namespace = _namespace_of_node(args, question)
    found = netns.run_in(namespace, lambda: answer(question)) if namespace else answer(question)
    print(json.dumps(document(found), indent=1) if args.output == "json" else render(found))
    return exits.SUCCESS if found.served else exits.FINDING


async def _resolve(args: argparse.Namespace) -> "Question":
    from kubesvc.proxy.tracing import Asked, resolve

    asked = Asked(args.origin, args.to, namespace_of(args), args.protocol, args.node)
    async with connect(args) as client:
        return await resolve(client, asked)


def _namespace_of_node(args: argparse.Namespace, question: "Question") -> str:
    """The network namespace of a node of a cluster on this machine; "" when the node is this machine."""
    from kubesvc.client.kubeconfig import read_kubeconfig
    from kubesvc.cluster.ledger import clusters
    from kubesvc.proxy.kernel import local_addresses

    server = read_kubeconfig(kubeconfig_of(args), context=args.context or None).server
    for ledger in clusters():
        if server in (f"https://127.0.0.1:{ledger.api_port}", ledger.topology.api_url):
            return netns_of(ledger.topology, question.node)
    if not set(question.node_addresses) & set(local_addresses()):
        raise Refusal(
            f"the packet is translated on node {question.node}, which is not this machine",
            f"run it on {question.node}, where the rules are",
        )
    return ""


def netns_of(topology: "Topology", node: str) -> str:
    """The namespace of one of the cluster's own nodes; a Node object alone has none."""
    names = {site.name: site.netns for site in topology.nodes}
    if node not in names:
        raise Refusal(
            f"the packet is translated on node {node}, which kubesvc up did not start",
            f"--node names one whose rules can be read: {', '.join(names)}",
        )
    return names[node]
