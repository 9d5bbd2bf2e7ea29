"""Write docs/cli.md: every command and flag of `kubesvc`, from the parsers themselves.

python scripts/cli_reference.py            write the page
python scripts/cli_reference.py --check    exit 1 if it is not as it would be written
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from kubesvc.cli.commands import COMMANDS, Command
from kubesvc.cli.main import parser_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

_WIDTH = 100
_INTRODUCTION = """\
# The `kubesvc` command

<!-- Written by scripts/cli_reference.py from the commands' own parsers; change the help texts there. -->

Data goes to standard output, everything else to standard error. Exit codes: 0 success, 1 refused or failed, 2 usage,
3 a finding, 4 missing privilege, 124 time-out; `kubesvc exec` ends with the exit code of the command it ran. Colours
and moving lines appear on a terminal only, and never with `NO_COLOR` set. The state of clusters is in
`/var/lib/kubesvc`, or where `KUBESVC_HOME` says. `kubesvc help COMMAND` and `kubesvc COMMAND --help` say the same as
this page.
"""


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, *_overview()]
    for group in _groups():
        parts.append(f"## {group}\n")
        parts += [_section(command) for command in COMMANDS if command.group == group]
    return "\n".join(parts)


def _groups() -> list[str]:
    return list(dict.fromkeys(command.group for command in COMMANDS))


def _overview() -> Iterator[str]:
    yield "| Command | |\n|---|---|"
    for command in COMMANDS:
        also = "".join(f", `{alias}`" for alias in command.aliases)
        yield f"| [`{command.name}`](#kubesvc-{command.name.replace(' ', '-')}){also} | {_cell(command.summary)} |"
    yield ""


def _section(command: Command) -> str:
    parser = parser_of(command)
    actions = [action for action in parser._actions if action.dest != "help"]  # noqa: SLF001 - no public list
    lines = [f"### kubesvc {command.name}\n", command.summary[0].upper() + command.summary[1:] + ".\n"]
    lines += [f"```\n{_usage(command, actions)}\n```\n"]
    if actions:
        lines += ["| | |\n|---|---|", *(f"| {_spelling(action)} | {_meaning(action)} |" for action in actions), ""]
    return "\n".join(lines)


def _usage(command: Command, actions: list[argparse.Action]) -> str:
    flags = [action for action in actions if action.option_strings]
    words = [f"{action.option_strings[-1]} {_value(action)}" for action in flags if action.required]
    if not all(action.required for action in flags):
        words.append("[FLAGS]")
    words += [_positional(action) for action in actions if not action.option_strings]
    lines = [f"kubesvc {command.name}"]
    for word in words:
        if len(lines[-1]) + len(word) > _WIDTH:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}"
    return "\n".join(lines)


def _positional(action: argparse.Action) -> str:
    name = _value(action)
    match action.nargs:
        case "?":
            return f"[{name}]"
        case "*":
            return f"[{name} ...]"
        case "+":
            return f"{name} ..." if " " in name else f"{name} [{name} ...]"
        case argparse.REMAINDER:
            return f"[{name} ...]"
    return name


def _value(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper()


def _spelling(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_cell(_value(action))}`"
    value = "" if action.nargs == 0 else f" {_value(action)}"
    return _cell(", ".join(f"`{flag}{value}`" for flag in action.option_strings))


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": "kubesvc"}
    repeat = " (repeatable)" if _repeats(action) and "repeat" not in text else ""
    need = "; required" if action.required and action.option_strings else ""
    return _cell(f"{text}{repeat}{need}")


def _repeats(action: argparse.Action) -> bool:
    return type(action).__name__ == "_AppendAction"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/cli.md from the parsers.")
    parser.add_argument("--check", action="store_true", help="only say whether it is fresh")
    wanted = page()
    if parser.parse_args().check:
        fresh = PAGE.is_file() and PAGE.read_text() == wanted
        print("docs/cli.md is fresh" if fresh else "docs/cli.md is stale: run scripts/cli_reference.py")
        return 0 if fresh else 1
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
