"""The support table is made from tests that exist, and is fresh."""

import pytest
from scripts import support_table as table


def test_every_test_the_table_names_exists() -> None:
    assert table.missing_tests(table.read_groups(table.SOURCE.read_text())) == []


def test_the_page_and_the_summary_are_fresh() -> None:
    groups = table.read_groups(table.SOURCE.read_text())
    assert table.PAGE.read_text() == table.page(groups), "run: make docs"
    readme = table.README.read_text()
    assert readme == table.with_summary(readme, groups), "run: make docs"


def test_support_follows_from_tests_alone() -> None:
    text = """
    - title: T
      rows:
        - {what: a, tests: [unit/x.py::test_one_two]}
        - {what: b, tests: ["unit/x.py::test_one[case 1]"], partly: not c}
        - {what: d, why: because}
    """
    rows = table.page(table.read_groups(text)).splitlines()[-3:]
    assert rows == [
        "| a | **yes** | [one two](../tests/unit/x.py) |",
        "| b | partly | not c: [one: case 1](../tests/unit/x.py) |",
        "| d | no | because |",
    ]


@pytest.mark.parametrize("row", ["{what: a}", "{what: a, tests: [x], why: y}", "{what: a, why: y, state: yes}"])
def test_a_claim_without_tests_or_a_denial_without_reason_is_refused(row: str) -> None:
    with pytest.raises(ValueError, match="want either tests"):
        table.read_groups(f"- {{title: T, rows: [{row}]}}")
