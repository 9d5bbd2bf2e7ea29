"""The command line of `kubesvc apiserver`."""

import argparse
from pathlib import Path

from kubesvc.api.addresses import check_cidr, family_of
from kubesvc.apiserver.options import DEFAULT_PORT, ApiServerOptions
from kubesvc.store.types import Durability


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare every flag, with help a person can act on."""
    _add_listening(parser.add_argument_group("listening"))
    _add_trust(parser.add_argument_group("trust"))
    _add_state(parser.add_argument_group("state"))
    _add_services(parser.add_argument_group("services"))


def _add_listening(listen: argparse._ArgumentGroup) -> None:
    listen.add_argument(
        "--bind-address", default="127.0.0.1", metavar="IP", help="address to listen on (default: %(default)s)"
    )
    listen.add_argument(
        "--secure-port", type=int, default=DEFAULT_PORT, metavar="PORT", help="HTTPS port (default: %(default)s)"
    )
    listen.add_argument("--tls-cert-file", type=Path, required=True, metavar="FILE", help="server certificate, PEM")
    listen.add_argument("--tls-private-key-file", type=Path, required=True, metavar="FILE", help="its key, PEM")
    listen.add_argument(
        "--advertise-address",
        metavar="IP",
        help="address other components reach this server at (default: the bind address)",
    )
    listen.add_argument(
        "--advertise-port",
        type=int,
        metavar="PORT",
        help="port other components reach this server at (default: the HTTPS port)",
    )


def _add_trust(trust: argparse._ArgumentGroup) -> None:
    trust.add_argument(
        "--client-ca-file", type=Path, required=True, metavar="FILE", help="the cluster's certificate authority, PEM"
    )
    trust.add_argument(
        "--token-auth-file",
        type=Path,
        required=True,
        metavar="FILE",
        help='bearer tokens as JSON: {"<token>": {"user": "<name>", "groups": ["<group>"]}}',
    )
    trust.add_argument(
        "--service-account-signing-key-file",
        type=Path,
        required=True,
        metavar="FILE",
        help="secret that signs ServiceAccount tokens: any file of 32 bytes or more nobody else can read",
    )
    trust.add_argument(
        "--kubelet-token-file",
        type=Path,
        metavar="FILE",
        help="bearer token presented to node agents for logs, exec and attach",
    )
    trust.add_argument(
        "--kubelet-certificate-authority",
        type=Path,
        metavar="FILE",
        help="authority of the node agents' certificates (default: --client-ca-file)",
    )


def _add_state(state: argparse._ArgumentGroup) -> None:
    state.add_argument(
        "--database",
        type=Path,
        required=True,
        metavar="FILE",
        help="SQLite file that holds all objects; made when missing",
    )
    state.add_argument(
        "--durability",
        choices=[one.value for one in Durability],
        default=Durability.DISK.value,
        help="what acknowledged writes survive. disk: all but the loss of the disk (fsync); process: kill -9 of any"
        " process, but no crash of the machine, which may break the whole file (default: %(default)s)",
    )
    state.add_argument(
        "--event-ttl",
        type=float,
        default=3600.0,
        metavar="SECONDS",
        help="how long Events are kept (default: %(default)g)",
    )


def _add_services(services: argparse._ArgumentGroup) -> None:
    services.add_argument(
        "--service-cluster-ip-range",
        type=_cidrs,
        default="10.96.0.0/16",
        metavar="CIDR",
        help="range of Service addresses, or one per IP family separated by a comma (default: %(default)s)",
    )
    services.add_argument(
        "--service-node-port-range",
        type=_port_range,
        default=(30000, 32767),
        metavar="LOW-HIGH",
        help="ports for NodePort Services, both ends included (default: 30000-32767)",
    )


def options_from(args: argparse.Namespace) -> ApiServerOptions:
    return ApiServerOptions(
        tls_cert=args.tls_cert_file,
        tls_key=args.tls_private_key_file,
        ca_cert=args.client_ca_file,
        tokens_file=args.token_auth_file,
        database=args.database,
        sa_signing_key=args.service_account_signing_key_file,
        bind_address=args.bind_address,
        port=args.secure_port,
        service_cidr=args.service_cluster_ip_range,
        node_port_range=args.service_node_port_range,
        advertise_address=args.advertise_address or args.bind_address,
        advertise_port=args.advertise_port or args.secure_port,
        kubelet_token_file=args.kubelet_token_file,
        kubelet_ca=args.kubelet_certificate_authority,
        event_ttl=args.event_ttl,
        durability=Durability(args.durability),
    )


def _cidrs(text: str) -> str:
    problems = [f"{part!r}: {problem}" for part in text.split(",") for problem in check_cidr(part)]
    families = [family_of(part.partition("/")[0]) for part in text.split(",")]
    if problems:
        raise argparse.ArgumentTypeError("; ".join(problems))
    if len(set(families)) != len(families):
        raise argparse.ArgumentTypeError(f"{text!r} names one IP family twice")
    return text


def _port_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdigit() and high.isdigit() and 0 < int(low) <= int(high) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of ports such as 30000-32767")
    return int(low), int(high)
