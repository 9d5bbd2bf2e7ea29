"""kube-proxy's other flags: those that work here too, and those that are taken so that its command lines do.

Values are written as kube-proxy takes them: durations such as `30s`, booleans bare or as `=true`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kubesvc.proxy.config import parse_duration
from kubesvc.proxy.options import Mode, ProxyOptions

DEBUG_FROM = 4
"""kube-proxy's verbosity from which it writes what is called debug here."""

WITHOUT_EFFECT = (
    "--bind-address", "--config-sync-period", "--conntrack-udp-timeout", "--conntrack-udp-timeout-stream",
    "--feature-gates", "--kube-api-burst", "--kube-api-content-type", "--kube-api-qps", "--log-flush-frequency",
    "--logging-format", "--oom-score-adj", "--show-hidden-metrics-for-version", "--vmodule",
)  # fmt: skip
SWITCHES_WITHOUT_EFFECT = ("--bind-address-hard-fail", "--profiling")


class _Verbosity(argparse.Action):
    """`-v N` as a level of our log."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.log_level = "debug" if int(str(values)) >= DEBUG_FROM else "info"


def add_upstream_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them to a parser that has the proxy's own flags."""
    add = parser.add_argument
    add("--master", default="", metavar="URL", help="the API server's address; overrides the kubeconfig's")
    switch(parser, "--init-only", "set the sysctls that need privilege, and exit")
    add("--conntrack-max-per-core", type=int, metavar="N", help="tracked connections per core; 0: leave as it is")
    add("--conntrack-min", type=int, metavar="N", help="the least number of tracked connections")
    for name, what in (("established", "of open TCP flows"), ("close-wait", "of TCP flows in CLOSE_WAIT")):
        add(f"--conntrack-tcp-timeout-{name}", type=duration, metavar="DURATION", help=f"time-out {what}; 0: as it is")
    switch(parser, "--conntrack-tcp-be-liberal", "keep TCP packets outside of the window")
    for mode in Mode:
        add(f"--{mode}-sync-period", type=duration, metavar="DURATION", help=f"--sync-period of the {mode} mode")
        add(f"--{mode}-min-sync-period", type=duration, metavar="DURATION", help=f"--min-sync-period in {mode} mode")
    add("-v", "--v", action=_Verbosity, metavar="N", help=f"kube-proxy's verbosity; from {DEBUG_FROM}: debug")
    for name in WITHOUT_EFFECT:
        add(name, default="", metavar="VALUE", help="taken from kube-proxy's command lines; without effect")
    for name in SWITCHES_WITHOUT_EFFECT:
        switch(parser, name, "taken from kube-proxy's command lines; without effect")


def with_upstream_flags(options: ProxyOptions, args: argparse.Namespace) -> ProxyOptions:
    """`options` with what these flags say; a flag that is not given says nothing."""
    periods = {
        "sync_period": getattr(args, f"{options.mode}_sync_period"),
        "min_sync_period": getattr(args, f"{options.mode}_min_sync_period"),
        "conntrack_max_per_core": args.conntrack_max_per_core,
        "conntrack_min": args.conntrack_min,
        "tcp_established_seconds": _whole(args.conntrack_tcp_timeout_established),
        "tcp_close_wait_seconds": _whole(args.conntrack_tcp_timeout_close_wait),
        "tcp_be_liberal": args.conntrack_tcp_be_liberal or None,
        "init_only": args.init_only or None,
        "master": args.master or None,
    }
    given: dict[str, Any] = {name: value for name, value in periods.items() if value is not None}
    return replace(options, **given)


def switch(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    """A boolean flag as Go programs take it: `--name`, `--name=true` or `--name=false`."""
    parser.add_argument(name, nargs="?", const=True, default=False, type=_boolean, metavar="true|false", help=text)


def duration(text: str) -> float:
    """Seconds of `30s`, `1h0m0s`, or of a bare number."""
    seconds = parse_duration(text)
    try:
        return float(text) if seconds is None else seconds
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 30s or 1h0m0s") from None


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
