"""No command and no flag without a word in the documentation, and no link that leads nowhere."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from scripts import cli_reference

from kubesvc.cli.commands import COMMANDS, Command
from kubesvc.cli.main import parser_of

ROOT = cli_reference.PAGE.parent.parent
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_IN_LINE = re.compile(r"`[^`\n]*`")


def documents() -> list[Path]:
    """The Markdown files of the repository, without what tools and tests leave about."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        found = [
            *ROOT.glob("*.md"),
            *(path for folder in ("docs", "src", "tests") for path in ROOT.glob(f"{folder}/**/*.md")),
        ]
        return sorted(found)
    listed = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    lines = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / line for line in lines if (ROOT / line).is_file()]


def prose(path: Path) -> str:
    return _IN_LINE.sub("", _FENCED.sub("", path.read_text()))


def anchors(path: Path) -> set[str]:
    """The anchors a forge makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_all_commands_is_fresh() -> None:
    assert cli_reference.PAGE.read_text() == cli_reference.page(), "run: make docs"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_and_flag_is_documented(command: Command) -> None:
    section = cli_reference.PAGE.read_text().split(f"\n### kubesvc {command.name}\n")[1].split("\n### ")[0]
    flags = [flag for action in parser_of(command)._actions for flag in action.option_strings]
    missing = [flag for flag in flags if flag not in ("-h", "--help") and f"`{flag}" not in section]
    assert not missing


def test_every_link_leads_somewhere() -> None:
    broken = [f"{path.relative_to(ROOT)}: {target}" for path in documents() for target in broken_links(path)]
    assert not broken


def broken_links(path: Path) -> list[str]:
    broken = []
    for target in _LINK.findall(prose(path)):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        if not found.exists() or (anchor and found.suffix == ".md" and anchor not in anchors(found)):
            broken.append(target)
    return broken
