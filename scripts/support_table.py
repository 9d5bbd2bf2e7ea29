"""Write docs/support.md from docs/support.yaml: what is supported, and which tests show it; and the README's summary.

    python scripts/support_table.py            check that every test named exists, then write both
    python scripts/support_table.py --check    exit 1 if a test is missing or either is not as it would be written

Nobody claims support by hand: a row says "yes" because it names tests, and "no" because it has none.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "docs" / "support.yaml"
PAGE = ROOT / "docs" / "support.md"
README = ROOT / "README.md"
_BEGIN, _END = "<!-- support: written by make docs -->\n", "<!-- /support -->\n"

_INTRODUCTION = """\
# What is supported

<!-- Written by scripts/support_table.py from support.yaml; change that. -->

A "yes" is shown by the tests beside it, and `make test` runs them all: those in `e2e` on whole clusters with the real
kubectl, those in `kernel` with real packets in namespaces of their own, those in `unit` anywhere. "Partly" names the
exception, "no" what happens instead.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One claim; without tests it is a denial, and `remark` is its reason."""

    what: str
    tests: tuple[str, ...]
    remark: str

    @property
    def state(self) -> str:
        if not self.tests:
            return "no"
        return "partly" if self.remark else "**yes**"


def read_groups(text: str) -> list[tuple[str, list[Row]]]:
    """Titles with their rows. Raises ValueError on a row that claims nothing or denies without a reason."""
    return [(group["title"], [_row(entry) for entry in group["rows"]]) for group in yaml.safe_load(text)]


def _row(entry: dict[str, object]) -> Row:
    unknown = set(entry) - {"what", "tests", "partly", "why"}
    tests = entry.get("tests") or []
    assert isinstance(tests, list)
    if unknown or bool(tests) == ("why" in entry):
        raise ValueError(f"{entry.get('what')}: want either tests (perhaps with partly) or why, nothing else")
    return Row(str(entry["what"]), tuple(map(str, tests)), str(entry.get("partly") or entry.get("why") or ""))


def page(groups: list[tuple[str, list[Row]]]) -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for title, rows in groups:
        parts += [f"## {title}\n", "| | | Shown by |\n|---|---|---|"]
        parts += [f"| {_cell(row.what)} | {row.state} | {_evidence(row)} |" for row in rows]
        parts.append("")
    return "\n".join(parts)


def with_summary(readme: str, groups: list[tuple[str, list[Row]]]) -> str:
    """The README with its summary between the two marks replaced. Raises ValueError where the marks are missing."""
    before, begin, rest = readme.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"README.md has no {_BEGIN.strip()} ... {_END.strip()}")
    return before + begin + _summary(groups) + end + after


def _summary(groups: list[tuple[str, list[Row]]]) -> str:
    lines = ["| | Supported | Partly | Not |", "|---|---|---|---|"]
    for title, rows in groups:
        cells = ["; ".join(_cell(row.what) for row in rows if row.state == state) for state in ("partly", "no")]
        count = sum(row.state not in ("partly", "no") for row in rows)
        lines.append(f"| [{title}](docs/support.md#{_anchor(title)}) | {count} of {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _anchor(title: str) -> str:
    return "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -").replace(" ", "-")


def _evidence(row: Row) -> str:
    links = " · ".join(_link(test) for test in row.tests)
    return f"{_cell(row.remark)}{': ' if row.remark and links else ''}{links}"


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    function, _, case = name.partition("[")
    sentence = function.removeprefix("test_").replace("_", " ") + (f": {case.removesuffix(']')}" if case else "")
    return f"[{_cell(sentence)}](../tests/{path})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def missing_tests(groups: list[tuple[str, list[Row]]]) -> list[str]:
    """The tests named that pytest does not find; a test without [case] stands for all its cases."""
    named = {f"tests/{test}" for _, rows in groups for row in rows for test in row.tests}
    found = _collected(sorted({test.partition("::")[0] for test in named}))
    found |= {test.partition("[")[0] for test in found}
    return sorted(named - found)


def _collected(files: list[str]) -> set[str]:
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pytest could not collect:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return set(done.stdout.splitlines())


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/support.md from docs/support.yaml.")
    parser.add_argument("--check", action="store_true", help="only say whether it is fresh and true")
    check = parser.parse_args().check
    groups = read_groups(SOURCE.read_text())
    missing = missing_tests(groups)
    for test in missing:
        print(f"no such test: {test}")
    readme = with_summary(README.read_text(), groups)
    fresh = PAGE.is_file() and PAGE.read_text() == page(groups) and README.read_text() == readme
    if check and not fresh:
        print("docs/support.md or the README's summary is stale: run make docs")
    elif not missing:
        PAGE.write_text(page(groups))
        README.write_text(readme)
    return 1 if missing or (check and not fresh) else 0


if __name__ == "__main__":
    sys.exit(main())
