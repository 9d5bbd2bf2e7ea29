"""The metrics page: CoreDNS's names, so that its dashboards and alerts read ours."""

from kubesvc.dns.feed import Feed
from kubesvc.dns.meter import Meter
from kubesvc.dns.responder import Responder


def render(responder: Responder, meter: Meter, feed: Feed | None) -> bytes:
    """Everything counted so far, in Prometheus' text format."""
    lines: list[str] = []
    return ("\n".join(lines) + "\n").encode()
