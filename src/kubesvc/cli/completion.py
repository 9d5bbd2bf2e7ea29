"""`kubesvc completion bash|zsh`: a script that completes commands and flags, made from the parsers themselves."""

import argparse

from kubesvc.cli import exits
from kubesvc.cli.commands import COMMANDS

_BASH = """\
# bash completion for kubesvc; load it with: source <(kubesvc completion bash)
_kubesvc() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands}"
    else
        case ${{COMP_WORDS[1]}} in
{cases}
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o default -F _kubesvc kubesvc
"""

_ZSH = """\
# zsh completion for kubesvc; load it with: source <(kubesvc completion zsh)
autoload -U +X bashcompinit && bashcompinit
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"), help="the shell that will read the script")


def run(args: argparse.Namespace) -> int:
    script = _BASH.format(
        commands=" ".join(command.name for command in COMMANDS if " " not in command.name), cases="\n".join(_cases())
    )
    print(_ZSH + script if args.shell == "zsh" else script, end="")
    return exits.SUCCESS


def _cases() -> list[str]:
    from kubesvc.cli.main import parser_of

    return [f'            "{command.name}") words="{" ".join(_words(parser_of(command)))}" ;;' for command in COMMANDS]


def _words(parser: argparse.ArgumentParser) -> list[str]:
    words: list[str] = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no public list of what was added
        words += action.option_strings
        if not action.option_strings and action.choices:
            words += [str(choice) for choice in action.choices]
    return words
