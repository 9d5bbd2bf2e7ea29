"""The built-in images, among them other parts of kubesvc: the node agent must not know those, so it is handed them."""

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence

BuiltinImage = Callable[[Sequence[str]], None]


def builtins() -> Mapping[str, BuiltinImage]:
    """Image name -> function called in the container's process with its arguments.

    Called by an agent before it forks anything: what is imported here is shared with every such pod.
    """
    import kubesvc.dns.flags
    import kubesvc.dns.run  # noqa: F401
    from kubesvc.node.images import BUILTINS

    return {**BUILTINS, "kubesvc/dns": run_dns}


def run_dns(arguments: Sequence[str]) -> None:
    """The cluster's DNS with `kubesvc dns` flags, until SIGTERM."""
    from kubesvc import observe
    from kubesvc.aio.runner import run_until_signal
    from kubesvc.dns.flags import add_arguments, options_from
    from kubesvc.dns.run import run

    parser = argparse.ArgumentParser(prog="kubesvc dns")
    add_arguments(parser)
    options = options_from(parser.parse_args(list(arguments)))
    observe.configure("dns")
    asyncio.run(run_until_signal(run(options), name="dns"))
