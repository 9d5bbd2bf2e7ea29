"""Who is who in a cluster: certificates, bearer tokens and a kubeconfig for each component.

`prepare_identities` runs in a short-lived child, because cryptography's memory need not stay. It is
idempotent: what exists is kept, so a repaired cluster goes on with its old credentials.
"""

import json
import secrets
from ipaddress import IPv4Address

from kubesvc.cluster.kubeconfig import Entry
from kubesvc.cluster.kubeconfig_files import write_private
from kubesvc.cluster.ledger import Ledger, StateDirectory, write_atomically
from kubesvc.cluster.topology import CLUSTER_DOMAIN, SERVICE_CIDR

ADMIN = "admin"
CONTROLLERS = "controllers"
ANNOUNCER = "announcer"
PROXY = "proxy"


def prepare_identities(state: StateDirectory, ledger: Ledger) -> None:
    """Write the PKI, the tokens and the kubeconfigs of the cluster's components."""
    from kubesvc.cluster.pki import Site, write_pki

    topology = ledger.topology
    api_names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    api = Site(
        stem="apiserver",
        common_name="kube-apiserver",
        names=(*api_names, f"kubernetes.default.svc.{CLUSTER_DOMAIN}"),
        addresses=(IPv4Address("127.0.0.1"), topology.router_address, SERVICE_CIDR[1]),
    )
    kubelets = [
        Site(
            stem=f"kubelet-{node.name}",
            common_name=f"system:node:{node.name}",
            names=(node.name,),
            addresses=(node.address,),
            organization="system:nodes",
        )
        for node in topology.nodes
    ]
    write_pki(state.pki, [api, *kubelets])
    _write_tokens(state, ledger)


def user_entry(state: StateDirectory, ledger: Ledger) -> Entry:
    """What goes into a person's kubeconfig: the API over loopback, as administrator."""
    document = json.loads(state.kubeconfig(ADMIN).read_text())
    return Entry(
        name=ledger.topology.context,
        server=f"https://127.0.0.1:{ledger.api_port}",
        ca_pem=(state.pki / "ca.crt").read_bytes(),
        token=document["users"][0]["user"]["token"],
    )


def _write_tokens(state: StateDirectory, ledger: Ledger) -> None:
    if state.tokens_file.exists():
        return
    topology = ledger.topology
    users = {
        ADMIN: ("kubernetes-admin", ["system:masters"]),
        ANNOUNCER: ("kubesvc:announcer", ["system:masters"]),
        CONTROLLERS: ("system:kube-controller-manager", []),
        PROXY: ("system:kube-proxy", ["system:node-proxier"]),
    }
    for node in topology.nodes:
        users[node.name] = (f"system:node:{node.name}", ["system:nodes"])
    tokens = {}
    ca = (state.pki / "ca.crt").read_bytes()
    for stem, (user, groups) in users.items():
        token = secrets.token_urlsafe(32)
        tokens[token] = {"user": user, "groups": groups}
        # People and their tools are outside of the router's namespace.
        server = f"https://127.0.0.1:{ledger.api_port}" if stem == ADMIN else topology.api_url
        write_private(state.kubeconfig(stem), Entry(name=topology.context, server=server, ca_pem=ca, token=token))
    write_atomically(state.kubelet_token_file, secrets.token_urlsafe(32).encode(), sync=ledger.synced)
    # Last: its presence says that all of them are there.
    write_atomically(state.tokens_file, json.dumps(tokens).encode(), sync=ledger.synced)
