"""`kubesvc dns query`: what a pod would be told for a name, from the live objects."""

import argparse
import asyncio

from kubesvc.cli.access import add_access, connect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kubesvc.dns.query_flags import add_arguments as add_query

    add_access(parser, namespace=False)
    add_query(parser)


def run(args: argparse.Namespace) -> int:
    """Exit 0 when the name has such records, else 1."""
    from kubesvc.dns import query_command

    async def ask() -> int:
        async with connect(args) as client:
            return await query_command.run(args, client)

    return asyncio.run(ask())
