"""`kubesvc doctor`: what clusters need of this machine, what is missing, and the exact fix."""

import argparse

from kubesvc.cli import exits
from kubesvc.cli.output import paint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no flags."""


def run(args: argparse.Namespace) -> int:
    """Exit 0 when everything needed is there, 1 when something is missing."""
    from kubesvc.cli.checkup import check_machine

    missing = 0
    for check in check_machine():
        mark = paint("ok  ", "32") if check.ok else paint("FAIL", "31;1") if check.required else paint("warn", "33")
        print(f"{mark} {check.what}" + (f": {check.found}" if check.found else ""))
        if not check.ok:
            print(f"     fix: {check.fix}")
            missing += check.required
    print("This machine can run clusters." if not missing else f"{missing} thing(s) to mend first.")
    return exits.FAILED if missing else exits.SUCCESS
