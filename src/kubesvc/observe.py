"""What a component says about itself: key=value log lines on stderr and metrics in Prometheus' text format.

Logging is the standard library's with one formatter; fields ride along as `extra`. The metrics are
plain dicts with no locks, because every component is a single-threaded event loop.
"""

import bisect
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

DEFAULT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+*%,[]{}()<>")


class Log:
    """A named logger whose calls take a constant message and fields."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"kubesvc.{name}")

    def debug(self, message: str, /, **fields: object) -> None:
        self._emit(logging.DEBUG, message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        self._emit(logging.INFO, message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        self._emit(logging.WARNING, message, fields)

    def error(self, message: str, /, *, exc: BaseException | None = None, **fields: object) -> None:
        """Log at error level; `exc` adds its traceback below the line (a defect, not a person's mistake)."""
        self._emit(logging.ERROR, message, fields, exc)

    def enabled_for_debug(self) -> bool:
        return self._logger.isEnabledFor(logging.DEBUG)

    def _emit(self, level: int, message: str, fields: dict[str, object], exc: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", message, extra={"fields": fields}, exc_info=exc)


def log(name: str) -> Log:
    """The logger of one part, such as `proxy` or `apiserver.watch`."""
    return Log(name)


class _LogfmtFormatter(logging.Formatter):
    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, object] = getattr(record, "fields", {})
        parts = [
            f"{stamp}.{int(record.msecs):03d}Z",
            f"level={record.levelname.lower()}",
            f"component={self._component}",
            f"msg={logfmt_value(record.getMessage())}",
            *(f"{name}={logfmt_value(value)}" for name, value in fields.items()),
        ]
        line = " ".join(parts)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def logfmt_value(value: object) -> str:
    """The value as logfmt writes it: bare when it is one word, else quoted."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if text and _PLAIN.issuperset(text):
        return text
    return json.dumps(text, ensure_ascii=False)


def configure(component: str, level: str = "info") -> None:
    """Send the log of this process to stderr as lines of `component`; replaces an earlier configuration."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LogfmtFormatter(component))
    root = logging.getLogger("kubesvc")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(level.upper())


class _Metric:
    kind = "untyped"

    def __init__(self, name: str, help_: str, labels: Sequence[str]) -> None:
        self.name = name
        self.help = help_
        self.labels = tuple(labels)

    def lines(self) -> Iterator[str]:
        raise NotImplementedError

    def _labelled(self, values: tuple[str, ...], *more: tuple[str, str]) -> str:
        pairs = [*zip(self.labels, values, strict=True), *more]
        if not pairs:
            return ""
        return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in pairs) + "}"


M = TypeVar("M", bound=_Metric)


class _Numbers(_Metric):
    """One number per combination of label values; without labels it is there from the start, as 0."""

    def __init__(self, name: str, help_: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help_, labels)
        self.values: dict[tuple[str, ...], float] = {} if labels else {(): 0}

    def lines(self) -> Iterator[str]:
        for values, number in self.values.items():
            yield f"{self.name}{self._labelled(values)} {_number(number)}"


class Counter(_Numbers):
    """A number that only grows."""

    kind = "counter"

    def inc(self, *labels: str, by: float = 1) -> None:
        self.values[labels] = self.values.get(labels, 0) + by


class Gauge(_Numbers):
    """A number that is set."""

    kind = "gauge"

    def set(self, number: float, *labels: str) -> None:
        self.values[labels] = number

    def remove(self, *labels: str) -> None:
        self.values.pop(labels, None)


class Histogram(_Metric):
    """Observations counted into buckets with upper bounds (inclusive), plus their sum and count."""

    kind = "histogram"

    def __init__(
        self, name: str, help_: str, labels: Sequence[str] = (), buckets: Sequence[float] = DEFAULT_BUCKETS
    ) -> None:
        super().__init__(name, help_, labels)
        self.buckets = tuple(buckets)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        if not labels:
            self._counts[()] = [0] * (len(self.buckets) + 1)
            self._sums[()] = 0.0

    def observe(self, value: float, *labels: str) -> None:
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self.buckets) + 1)
            self._sums[labels] = 0.0
        counts[bisect.bisect_left(self.buckets, value)] += 1
        self._sums[labels] += value

    def count(self, *labels: str) -> int:
        return sum(self._counts.get(labels, ()))

    def lines(self) -> Iterator[str]:
        for values, counts in self._counts.items():
            total = 0
            for bound, count in zip((*self.buckets, float("inf")), counts, strict=True):
                total += count
                yield f"{self.name}_bucket{self._labelled(values, ('le', _number(bound)))} {total}"
            yield f"{self.name}_sum{self._labelled(values)} {_number(self._sums[values])}"
            yield f"{self.name}_count{self._labelled(values)} {total}"


METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of what `Registry.render` gives."""


class Registry:
    """The metrics of one process."""

    def __init__(self) -> None:
        self._metrics: dict[str, _Metric] = {}

    def counter(self, name: str, help_: str, labels: Sequence[str] = ()) -> Counter:
        return self._add(Counter(name, help_, labels))

    def gauge(self, name: str, help_: str, labels: Sequence[str] = ()) -> Gauge:
        return self._add(Gauge(name, help_, labels))

    def histogram(
        self, name: str, help_: str, labels: Sequence[str] = (), buckets: Sequence[float] = DEFAULT_BUCKETS
    ) -> Histogram:
        return self._add(Histogram(name, help_, labels, buckets))

    def render(self) -> bytes:
        """All metrics in Prometheus' text exposition format 0.0.4."""
        lines: list[str] = []
        for metric in self._metrics.values():
            lines.append(f"# HELP {metric.name} {metric.help}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines.extend(metric.lines())
        return ("\n".join(lines) + "\n").encode()

    def _add(self, metric: M) -> M:
        if metric.name in self._metrics:
            raise ValueError(f"metric {metric.name} is registered twice")
        self._metrics[metric.name] = metric
        return metric


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)
