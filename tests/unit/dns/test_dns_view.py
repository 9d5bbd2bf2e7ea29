"""What the view holds depends on the cluster alone, not on the order in which its rows came."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from kubesvc.api.resources import Key
from kubesvc.dns.rows import NamespaceRow, Port, Row, ServiceGone, ServiceRow, SliceGone, SliceRow, pack
from kubesvc.dns.view import View

NAMES, NAMESPACES, SLICES = ("a", "b"), ("x", "y"), ("one", "two", "three")
ADDRESSES = [bytes((10, 0, 0, n)) for n in range(4)] + [bytes(15) + bytes((n,)) for n in range(2)]
KEYS = [Key(namespace, name) for namespace in NAMESPACES for name in NAMES]

namespaces, names, slices = st.sampled_from(NAMESPACES), st.sampled_from(NAMES), st.sampled_from(SLICES)
addresses = st.lists(st.sampled_from(ADDRESSES), max_size=3).map(tuple)
ports = st.sampled_from([(), (Port("http", "tcp", 80),), (Port("", "udp", 53), Port("dns", "tcp", 53))])
changes: st.SearchStrategy[Row] = st.one_of(
    st.builds(ServiceRow, namespaces, names, st.booleans(), addresses, ports),
    st.builds(ServiceGone, namespaces, names),
    st.builds(SliceRow, namespaces, names, slices, addresses, st.just(()), ports),
    st.builds(SliceGone, namespaces, names, slices),
    st.builds(NamespaceRow, namespaces, st.booleans()),
)


def filled(rows: Iterable[Row | bytes]) -> View:
    view = View()
    for row in rows:
        list(view.apply(row))
    return view


def known(view: View) -> object:
    """All that can be asked of a view about this small world."""
    return (
        [view.service(key) for key in KEYS],
        [sorted(view.slices(key), key=lambda slice_: slice_.name) for key in KEYS],
        [sorted(str(service.key) for service in view.services_at(address)) for address in ADDRESSES],
        [view.has_namespace(name) for name in NAMESPACES],
    )


def left(rows: Iterable[Row]) -> list[Row]:
    """The rows that nothing later has replaced or removed."""
    last: dict[object, Row] = {}
    for row in rows:
        match row:
            case ServiceRow() | ServiceGone():
                last["service", row.namespace, row.name] = row
            case SliceRow() | SliceGone():
                last["slice", row.namespace, row.service, row.name] = row
            case NamespaceRow():
                last["namespace", row.name] = row
    return [row for row in last.values() if not isinstance(row, ServiceGone | SliceGone)]


@given(st.lists(changes, max_size=30))
def test_what_is_known_is_what_the_last_rows_say(rows: list[Row]) -> None:
    assert known(filled(map(pack, rows))) == known(filled(left(rows)))


@given(st.lists(changes, max_size=30))
def test_nothing_stays_of_what_is_gone(rows: list[Row]) -> None:
    gone: list[Row] = [SliceGone(*key, name) for key in KEYS for name in SLICES]
    gone += [ServiceGone(*key) for key in KEYS]
    gone += [NamespaceRow(name, exists=False) for name in NAMESPACES]
    view = filled([*rows, *gone])
    assert known(view) == known(View())
    assert all(view.key(*key) is not view.key(*key) for key in KEYS)


def test_all_who_ask_for_a_known_service_share_its_key() -> None:
    view = filled([ServiceRow("x", "a")])
    assert view.key("x", "a") is view.key("x", "a")
