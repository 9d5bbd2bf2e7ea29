"""The cluster's certificates and keys: one authority, ECDSA P-256, ten years, files of mode 0600.

`cryptography` costs 15 MB of memory, therefore nothing imports this module but the short-lived
process that runs `write_pki`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = timedelta(days=3650)
# Clocks of clients may be behind ours.
_BACKDATE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Site:
    """A server that needs a certificate: its file stem and the names and addresses it answers to."""

    stem: str
    common_name: str
    names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()
    organization: str = ""


def write_pki(directory: Path, sites: Sequence[Site]) -> None:
    """Write ca.crt, ca.key, sa.key and per site `<stem>.crt` and `<stem>.key`; keep what is there.

    The directory appears whole or with what an earlier, interrupted run left; the authority's key
    is written last, and its absence makes everything afresh.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (directory / "ca.key").exists():
        ca_key = _load_key(directory / "ca.key")
        ca = x509.load_pem_x509_certificate((directory / "ca.crt").read_bytes())
        missing = [site for site in sites if not (directory / f"{site.stem}.crt").exists()]
        _write_sites(directory, missing, ca, ca_key)
        return
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key)
    _write(directory / "ca.crt", ca.public_bytes(serialization.Encoding.PEM))
    _write(directory / "sa.key", _pem(ec.generate_private_key(ec.SECP256R1())))
    _write_sites(directory, sites, ca, ca_key)
    _write(directory / "ca.key", _pem(ca_key))


def _write_sites(
    directory: Path, sites: Sequence[Site], ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey
) -> None:
    for site in sites:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _leaf(site, key, ca, ca_key)
        _write(directory / f"{site.stem}.key", _pem(key))
        _write(directory / f"{site.stem}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubesvc-ca")])
    builder = _builder(name, name, key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    site: Site, key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, site.common_name)]
    if site.organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, site.organization))
    alternatives = [
        *(x509.DNSName(name) for name in site.names),
        *(x509.IPAddress(ip_address(str(address))) for address in site.addresses),
    ]
    return (
        _builder(x509.Name(attributes), ca.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + _LIFETIME)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path}: want an ECDSA key")
    return key


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
