"""The entry point: find the command, import it alone, turn refusals into sentences and exit codes."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import NoReturn

from kubesvc.cli import exits
from kubesvc.cli.commands import Command, did_you_mean, find_command, overview
from kubesvc.cli.output import say, say_error


class _Parser(argparse.ArgumentParser):
    """An argparse parser that speaks as the rest of the command does."""

    def error(self, message: str) -> NoReturn:
        say_error(message, self._nearest(message) or f"{self.prog} --help")
        sys.exit(exits.USAGE)

    def _nearest(self, message: str) -> str:
        """The flag that a mistyped one was meant to be, as a question, or ""."""
        from difflib import get_close_matches

        _, _, wrong = message.partition("unrecognized arguments: --")
        flag = wrong.split(" ")[0].split("=")[0]
        near = get_close_matches(f"--{flag}", self._option_string_actions, n=1) if flag else []
        return f"did you mean {near[0]}? {self.prog} --help has all flags" if near else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `kubesvc` with these arguments (default: the process's) and return the exit code."""
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        # The reader has seen enough; nothing more can be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.FAILED


def _main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        return _help(arguments[1:])
    if arguments[0] == "--version":
        arguments = ["version"]
    words = 2 if find_command(" ".join(arguments[:2])) else 1
    command = find_command(" ".join(arguments[:words]))
    if command is None:
        return _unknown(arguments[0])
    return run_command(command, arguments[words:])


def parser_of(command: Command) -> argparse.ArgumentParser:
    """The parser of one command, built by its module."""
    parser = _Parser(
        prog=f"kubesvc {command.name}",
        description=command.summary[0].upper() + command.summary[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(command=command.name)
    import_module(f"kubesvc.cli.{command.module}").add_arguments(parser)
    return parser


def plain_switches(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> Iterator[str]:
    """`--flag=true` and `--flag=false`, as kubectl takes them, in argparse's words: the flag, its opposite, nothing."""
    flags = {flag for action in parser._actions if action.nargs == 0 for flag in action.option_strings}  # noqa: SLF001 - as in completion
    rest = iter(arguments)
    for word in rest:
        flag, _, value = word.partition("=")
        if word == "--":
            yield from (word, *rest)
        elif flag not in flags or value not in ("true", "false"):
            yield word
        elif value == "true":
            yield flag
        elif (opposite := f"--no-{flag.removeprefix('--')}") in flags:
            yield opposite


def run_command(command: Command, arguments: Sequence[str]) -> int:
    """Parse and run; every refusal becomes `error:` and `hint:` lines and its exit code."""
    try:
        parser = parser_of(command)
        args = parser.parse_args(list(plain_switches(parser, arguments)))
        args.line = ["kubesvc", *command.name.split(), *arguments]
        code = import_module(f"kubesvc.cli.{command.module}").run(args)
        sys.stdout.flush()
        return int(code)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        say("interrupted")
        return exits.INTERRUPTED
    except exits.Refusal as err:
        say_error(str(err), err.hint)
        return err.code
    except Exception as err:
        from kubesvc.cli.failures import explain

        refusal = explain(err)
        if refusal is None:
            raise
        say_error(str(refusal), refusal.hint)
        return refusal.code


def _help(rest: Sequence[str]) -> int:
    if not rest:
        print(overview(), flush=True)
        return exits.SUCCESS
    command = find_command(" ".join(rest[:2])) or find_command(rest[0])
    if command is None:
        return _unknown(rest[0])
    parser_of(command).print_help()
    return exits.SUCCESS


def _unknown(word: str) -> int:
    near = did_you_mean(word)
    say_error(f"unknown command {word!r}", f"did you mean kubesvc {near}?" if near else "kubesvc --help")
    return exits.USAGE


if __name__ == "__main__":
    sys.exit(main())
