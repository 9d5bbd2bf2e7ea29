"""kube-proxy's other flags: those that work here too, and those that are taken so that its command lines do.

Values are written as kube-proxy takes them: durations such as `30s`, booleans bare or as `=true`.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from kubesvc.proxy.config import parse_duration
from kubesvc.proxy.options import Mode, ProxyOptions

DEBUG_FROM = 4
"""kube-proxy's verbosity from which it writes what is called debug here."""

WITHOUT_EFFECT = (
    "--config-sync-period", "--feature-gates", "--ipvs-exclude-cidrs", "--ipvs-min-sync-period", "--ipvs-scheduler",
    "--ipvs-sync-period", "--ipvs-tcp-timeout", "--ipvs-tcpfin-timeout", "--ipvs-udp-timeout", "--kube-api-burst",
    "--kube-api-content-type", "--kube-api-qps", "--log-flush-frequency", "--log-json-info-buffer-size",
    "--log-text-info-buffer-size", "--logging-format", "--proxy-port-range", "--show-hidden-metrics-for-version",
    "--vmodule",
)  # fmt: skip
SWITCHES_WITHOUT_EFFECT = ("--ipvs-strict-arp", "--log-json-split-stream", "--log-text-split-stream", "--profiling")


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
    more = parser.add_argument_group("more of kube-proxy's flags")
    add = more.add_argument
    add("--master", default="", metavar="URL", help="the API server's address; overrides the kubeconfig's")
    add("--bind-address", default="", metavar="ADDRESS", help="this node's address (default: its status' first)")
    switch(more, "--bind-address-hard-fail", "give up where /healthz or /metrics cannot have their port")
    add("--oom-score-adj", type=int, metavar="N", help="how willingly the kernel ends this process, -1000 to 1000")
    for server in ("healthz", "metrics"):
        add(f"--{server}-port", type=int, metavar="N", help=f"port of --{server}-bind-address; 0: none")
    add("--conntrack-max-per-core", type=int, metavar="N", help="tracked connections per core; 0: leave as it is")
    add("--conntrack-min", type=int, metavar="N", help="the least number of tracked connections")
    for name, what in (("established", "of open TCP flows"), ("close-wait", "of TCP flows in CLOSE_WAIT")):
        add(f"--conntrack-tcp-timeout-{name}", type=duration, metavar="DURATION", help=f"time-out {what}; 0: as it is")
    for name, what in (("", "not answered"), ("-stream", "answered")):
        add(
            f"--conntrack-udp-timeout{name}",
            type=duration,
            metavar="DURATION",
            help=f"UDP flows {what}; 0: as it is",
        )
    switch(more, "--conntrack-tcp-be-liberal", "keep TCP packets outside of the window")
    for mode in Mode:
        add(f"--{mode}-sync-period", type=duration, metavar="DURATION", help=f"--sync-period of the {mode} mode")
        add(f"--{mode}-min-sync-period", type=duration, metavar="DURATION", help=f"--min-sync-period in {mode} mode")
    add("-v", "--v", action=_Verbosity, metavar="N", help=f"kube-proxy's verbosity; from {DEBUG_FROM}: debug")
    idle = parser.add_argument_group("taken so that kube-proxy's command lines work")
    for name in WITHOUT_EFFECT:
        idle.add_argument(name, default="", metavar="VALUE", help="without effect here")
    for name in SWITCHES_WITHOUT_EFFECT:
        switch(idle, name, "without effect here")


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
        "udp_seconds": _whole(args.conntrack_udp_timeout),
        "udp_stream_seconds": _whole(args.conntrack_udp_timeout_stream),
        "bind_address": args.bind_address or None,
        "bind_hard_fail": args.bind_address_hard_fail or None,
        "oom_score_adj": args.oom_score_adj,
        "healthz_bind": _moved(options.healthz_bind, args.healthz_port),
        "metrics_bind": _moved(options.metrics_bind, args.metrics_port),
        "warnings": tuple(_ignored(args)) or None,
        "init_only": args.init_only or None,
        "master": args.master or None,
    }
    given: dict[str, Any] = {name: value for name, value in periods.items() if value is not None}
    return replace(options, **given)


def _ignored(args: argparse.Namespace) -> Iterator[str]:
    for name in (*WITHOUT_EFFECT, *SWITCHES_WITHOUT_EFFECT):
        if getattr(args, name.removeprefix("--").replace("-", "_")):
            yield f"{name} has no effect here"


def _moved(bind: str, port: int | None) -> str | None:
    """`bind` on another port; "" for port 0."""
    return None if port is None else f"{bind.rpartition(':')[0]}:{port}" if port else ""


def switch(parser: argparse._ActionsContainer, name: str, text: str, *, default: bool = False) -> None:
    """A boolean flag as Go programs take it: `--name`, `--name=true` or `--name=false`."""
    parser.add_argument(name, nargs="?", const=True, default=default, type=_boolean, metavar="true|false", help=text)


def duration(text: str) -> float:
    """Seconds of `30s`, `1h0m0s`, or of a bare number."""
    seconds = parse_duration(text)
    try:
        return float(text) if seconds is None else seconds
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 30s or 1h0m0s") from None


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "t", "f", "1", "0"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() in ("true", "t", "1")


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
