"""Affinity chains in the kernel: made before elements refer to them, removed when many are left over.

A chain that is not needed any more costs nothing but memory, and the next Service may need it. But
whoever may write a Service may give it another time-out every second.
"""

from collections.abc import Iterable

from kubesvc.linux.nft import Nft
from kubesvc.linux.nft_elements import ElementSocket
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables.chunks import OwnedChanges
from kubesvc.proxy.nftables.elements import ElementKey, Value
from kubesvc.proxy.nftables.sticky import PREFIXES, chain_names, remove_chains_text, replace_sticky
from kubesvc.proxy.nftables.watch import TableWatch

SPARE = 100
"""How many chains may be left over besides as many as are needed."""


class AffinityChains:
    """The chains of one family's table that are known to hold the right rules."""

    def __init__(self, family: Family, nft: Nft, socket: ElementSocket, watch: TableWatch) -> None:
        self._family, self._nft, self._socket, self._watch = family, nft, socket, watch
        self._present: set[str] = set()
        self._limit = SPARE

    def found(self, names: Iterable[str]) -> None:
        """These are there already, and elements refer to them."""
        self._present.update(names)

    def remade(self, names: Iterable[str]) -> None:
        """The table was just written with these and no others."""
        self._present = set(names)

    def make(self, owned: Iterable[OwnedChanges]) -> None:
        """Make those that elements are about to refer to; raises NftError."""
        for _, changes in owned:
            for key, value in changes.adds:
                if key[0] == "sticky" and value not in self._present:
                    self._watch.run(self._nft, replace_sticky(self._family, str(value)))
                    self._present.add(str(value))
                    self._watch.remember()

    def prune(self, elements: Iterable[tuple[ElementKey, Value]]) -> None:
        """Remove what no element refers to, if that is much; raises NftError."""
        if len(self._present) <= self._limit:
            return
        needed = {str(value) for key, value in elements if key[0] == "sticky"}
        kept = {chain for name in needed for chain in chain_names(name)}
        gone = [name for name in self._socket.chains() if name.startswith(PREFIXES) and name not in kept]
        if gone:
            self._watch.run(self._nft, remove_chains_text(self._family, gone))
            self._watch.remember()
        self._present = needed
        self._limit = 2 * len(needed) + SPARE
