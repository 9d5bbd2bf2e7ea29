"""`kubesvc version`."""

import argparse

from kubesvc import __version__
from kubesvc.cli import exits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no flags."""


def run(args: argparse.Namespace) -> int:
    print(f"kubesvc {__version__}")
    return exits.SUCCESS
