"""Log lines are logfmt, metrics are Prometheus' text format."""

import logging

import pytest

from kubesvc import observe


def test_values_are_quoted_only_when_they_must_be() -> None:
    assert observe.logfmt_value("default/web") == "default/web"
    assert observe.logfmt_value("two words") == '"two words"'
    assert observe.logfmt_value("") == '""'
    assert observe.logfmt_value(0.25) == "0.25"


def test_a_log_line_names_component_message_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    observe.configure("proxy", "info")
    log = observe.log("test")
    log.info("rules in force", services=3, reason="first sync")
    log.debug("not shown")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.split(" ", 1)[1] == ('level=info component=proxy msg="rules in force" services=3 reason="first sync"')
    logging.getLogger("kubesvc").handlers.clear()


def test_metrics_render_as_prometheus_text() -> None:
    registry = observe.Registry()
    requests = registry.counter("requests_total", "Requests.", ("code",))
    requests.inc("200")
    requests.inc("200", by=2)
    registry.gauge("objects", "Objects.").set(7)
    latency = registry.histogram("latency_seconds", "Latency.", buckets=(0.1, 1))
    for seconds in (0.05, 0.1, 0.5, 3):
        latency.observe(seconds)
    assert registry.render().decode().splitlines() == [
        "# HELP requests_total Requests.",
        "# TYPE requests_total counter",
        'requests_total{code="200"} 3',
        "# HELP objects Objects.",
        "# TYPE objects gauge",
        "objects 7",
        "# HELP latency_seconds Latency.",
        "# TYPE latency_seconds histogram",
        'latency_seconds_bucket{le="0.1"} 2',
        'latency_seconds_bucket{le="1"} 3',
        'latency_seconds_bucket{le="+Inf"} 4',
        "latency_seconds_sum 3.65",
        "latency_seconds_count 4",
    ]


def test_a_metric_name_is_taken_once() -> None:
    registry = observe.Registry()
    registry.counter("a", "A.")
    with pytest.raises(ValueError, match="registered twice"):
        registry.gauge("a", "A.")
