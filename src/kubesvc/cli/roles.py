"""`kubesvc apiserver|controllers|proxy|dns|node`: one component by itself, in the foreground."""

import argparse
import asyncio
from importlib import import_module
from typing import Any

from kubesvc.cli import exits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _package(parser, "flags").add_arguments(parser)
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info", help="how much to log on stderr"
    )


def run(args: argparse.Namespace) -> int:
    from kubesvc import observe
    from kubesvc.aio.runner import run_until_signal

    flags = import_module(f"kubesvc.{args.command}.flags")
    component = import_module(f"kubesvc.{args.command}.run")
    observe.configure(args.command, args.log_level)
    asyncio.run(run_until_signal(component.run(flags.options_from(args)), name=args.command))
    return exits.SUCCESS


def _package(parser: argparse.ArgumentParser, module: str) -> Any:
    return import_module(f"kubesvc.{parser.get_default('command')}.{module}")
