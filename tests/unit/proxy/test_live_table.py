"""Reading the live table while somebody changes or removes it."""

import pytest

from kubesvc.linux.nft import NftError
from kubesvc.linux.nft_counters import Counted
from kubesvc.linux.nft_elements import SetType, TableInfo
from kubesvc.proxy.backend import BackendError
from kubesvc.proxy.model import Family
from kubesvc.proxy.nftables import live


class FakeSocket:
    """A kernel whose table has no elements, or one that never stops changing."""

    restless: bool = False
    reads = 0

    def __init__(self, family: str, table: str) -> None:
        pass

    def __enter__(self) -> "FakeSocket":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def table(self) -> TableInfo:
        return TableInfo(1, "")

    def counted(self, set_: SetType) -> list[Counted]:
        type(self).reads += 1
        if self.restless:
            raise InterruptedError(f"set {set_.name}: changed while being listed")
        return []


class Restless(FakeSocket):
    restless = True
    reads = 0


class GoneNft:
    """Commands about a table that is gone by now."""

    def __init__(self, *, terse: bool = False) -> None:
        pass

    def run(self, text: str) -> str:
        raise NftError(f"{text}: No such file or directory")

    def close(self) -> None:
        pass


def test_a_table_that_goes_away_between_two_reads_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CounterSocket", FakeSocket)
    monkeypatch.setattr(live, "Nft", GoneNft)
    with pytest.raises(BackendError, match="nftables: list table .*: No such file"):
        live.read_table(Family.IPV4)


def test_a_table_that_never_stops_changing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CounterSocket", Restless)
    with pytest.raises(BackendError, match="changed while being listed, 6 times in a row; try again"):
        live.read_table(Family.IPV4)
    assert Restless.reads == 6
