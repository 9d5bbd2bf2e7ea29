"""What an API server is told at its start."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from kubesvc.store.types import Durability

DEFAULT_PORT = 6443


class CannotStart(Exception):
    """What the server was told does not work: one sentence, and in `hint` the next step."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class ApiServerOptions:
    """Where to listen, whom to trust, what to hand out.

    `listeners` are bound, listening sockets; without any, `bind_address:port` is opened. `tokens_file` is
    `{token: {"user": name, "groups": [...]}}` as JSON. `sa_signing_key` is a file whose content keys the
    signatures of ServiceAccount tokens; any secret of 32 bytes or more will do. `default/kubernetes` leads to
    `advertise_address`; with a loopback address it has no endpoints.
    """

    tls_cert: Path
    tls_key: Path
    ca_cert: Path
    tokens_file: Path
    database: Path
    sa_signing_key: Path
    listeners: tuple[socket.socket, ...] = ()
    bind_address: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    service_cidr: str = "10.96.0.0/16"
    node_port_range: tuple[int, int] = (30000, 32767)
    advertise_address: str = "127.0.0.1"
    advertise_port: int = DEFAULT_PORT
    kubelet_token_file: Path | None = None
    kubelet_ca: Path | None = None
    event_ttl: float = field(default=3600.0)
    durability: Durability = Durability.DISK
