"""The node's side of the pod network: forwarding, routes to the other nodes' pods, and a small masquerade.

Pods are wired by routed veth pairs (`runtime.wiring`); this module adds what the node as a whole
needs, from its own options and from the Nodes of the API.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from kubesvc.api.resources import Key
from kubesvc.api.views import Node
from kubesvc.client import Informer
from kubesvc.linux.netlink import NetlinkError, RouteSocket
from kubesvc.linux.nft import Nft, NftError
from kubesvc.node.masquerade import masquerade_ruleset
from kubesvc.node.options import NodeOptions
from kubesvc.node.peers import Peer, diff_peers, peers_of
from kubesvc.observe import log

_log = log("node.network")
_DEFAULT_MTU = 1500


class NodeNetwork:
    """Applies what is wanted; everything is idempotent, so a restarted agent just applies it again."""

    def __init__(self, options: NodeOptions) -> None:
        self._options = options
        self._route = RouteSocket()
        self._peers: frozenset[Peer] = frozenset()
        self.mtu = options.mtu or self._find_mtu()

    def set_up(self) -> None:
        """Forwarding on; addresses of the pod network that no pod has are refused, never sent up the default route."""
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._route.route_replace(self._options.pod_cidr, kind="unreachable", metric=1 << 20)

    def close(self) -> None:
        """Let the kernel's channel go; what was set up stays."""
        self._route.close()

    def follow(self, nodes: "Informer[Node]") -> None:
        """Keep the routes equal to the Nodes of `nodes`, from now on."""
        self._apply(nodes)
        nodes.subscribe(lambda key, old, new: self._changed(nodes, key, old, new))

    def _changed(self, nodes: "Informer[Node]", key: Key, old: Node | None, new: Node | None) -> None:
        if peers_of([old] if old else []) != peers_of([new] if new else []):
            self._apply(nodes)

    def _apply(self, nodes: "Informer[Node]") -> None:
        wanted = peers_of(nodes.objects.values(), but=self._options.node_name)
        added, removed = diff_peers(self._peers, wanted)
        for peer in removed:
            self._try(f"remove route to {peer.pod_cidr}", lambda peer=peer: self._route.route_delete(peer.pod_cidr))  # type: ignore[misc]
        for peer in added:
            self._try(f"route to {peer.pod_cidr}", lambda peer=peer: self._add(peer))  # type: ignore[misc]
        self._peers = wanted
        self._masquerade(wanted)

    def _add(self, peer: Peer) -> None:
        self._route.route_replace(peer.pod_cidr, via=peer.address)
        _log.info("route added", pods=peer.pod_cidr, via=peer.address, node=peer.node)

    @staticmethod
    def _try(what: str, action: Callable[[], None]) -> None:
        """A route that the kernel refuses costs that node's pods, not the others'."""
        try:
            action()
        except NetlinkError as err:
            _log.warning("route refused", what=what, reason=err)

    def _masquerade(self, peers: Iterable[Peer]) -> None:
        inside = {self._options.pod_cidr, self._options.node_ip}
        for peer in peers:
            inside |= {peer.pod_cidr, peer.address}
        try:
            nft = Nft()
            try:
                nft.run(masquerade_ruleset(self._options.pod_cidr, sorted(inside)))
            finally:
                nft.close()
        except NftError as err:
            _log.warning("no masquerade for pods that talk to the outside", reason=err)

    def _find_mtu(self) -> int:
        """The MTU of the device that has the node's address."""
        owners = {a.link for a in self._route.addresses() if a.address.split("/")[0] == self._options.node_ip}
        found = [link.mtu for link in self._route.links() if link.name in owners]
        return min(found, default=_DEFAULT_MTU)
