"""`kubesvc logs`: the log of a component of the cluster, or of a pod."""

import argparse
import os
import sys
import time
from collections import deque
from pathlib import Path

from kubesvc.cli import exits
from kubesvc.cli.exits import Refusal
from kubesvc.cli.flags import DEFAULT_NAME
from kubesvc.cli.output import say

_POLL = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kubesvc.cli.access import add_access

    parser.add_argument(
        "what",
        nargs="?",
        metavar="COMPONENT|POD|TYPE/NAME",
        help="a component such as apiserver or node-1.proxy, or a pod (pod/NAME when both exist), or deploy/NAME,"
        " svc/NAME and the like: a ready pod of it; without it: list the components",
    )
    parser.add_argument("-c", "--container", default="", help="which container of the pod")
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing what is added")
    parser.add_argument("-p", "--previous", action="store_true", help="of a pod: the container's previous run")
    parser.add_argument("--timestamps", action="store_true", help="of a pod: the time before each line")
    parser.add_argument("--tail", type=int, default=-1, metavar="N", help="only the last N lines")
    parser.add_argument(
        "--name",
        "--cluster",
        default="",
        metavar="CLUSTER",
        help="the cluster (default: lab; of a pod: kubectl's)",
    )
    add_access(parser, cluster=False)


def run(args: argparse.Namespace) -> int:
    from kubesvc.cluster.ledger import StateDirectory
    from kubesvc.cluster.topology import check_name

    name = check_name(args.name or DEFAULT_NAME)
    directory = StateDirectory(name).log("x").parent
    if args.what is None:
        return _list(directory, name)
    file = directory / f"{args.what}.log"
    if "/" not in args.what and file.exists():
        return _print(file, tail=args.tail, follow=args.follow)
    from kubesvc.cli.pod_logs import print_pod_log

    args.cluster = args.name
    return print_pod_log(args)


def _list(directory: Path, name: str) -> int:
    names = sorted(path.stem for path in directory.glob("*.log"))
    if not names:
        raise Refusal(f"there is no cluster {name!r}", f"sudo kubesvc up --name {name}")
    say("Components with a log:")
    sys.stdout.writelines(f"{component}\n" for component in names)
    return exits.SUCCESS


def _print(file: Path, *, tail: int, follow: bool) -> int:
    with file.open(errors="backslashreplace") as stream:
        lines = deque(stream, maxlen=tail if tail >= 0 else None)
        sys.stdout.writelines(lines)
        sys.stdout.flush()
        while follow:
            line = stream.readline()
            if line:
                sys.stdout.write(line)
                sys.stdout.flush()
            elif os.fstat(stream.fileno()).st_size < stream.tell():
                # The supervisor has cut a log that grew too long.
                stream.seek(0)
            else:
                time.sleep(_POLL)
    return exits.SUCCESS
