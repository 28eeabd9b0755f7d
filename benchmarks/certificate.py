"""TLS for servers on loopback and their clients, with an authority of its own: for the tests, too."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as error:
    raise ImportError(
        "certificates need the extra benchmark, or test: pip install -e '.[benchmark]'", name=error.name
    ) from error

__all__ = ["Authority"]

LOOPBACK = "127.0.0.1"
DAY = timedelta(days=1)


class Authority:
    """A certificate authority, and what it signs, as PEM files in a folder.

    Attributes:
        file: The path of its own certificate.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("rxsocket's own authority")
        self._files = 0
        certificate = (
            self._builder(self._name, self._name, self._key, DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = str(folder / "authority.pem")
        Path(self.file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def certificate(self, *hosts: str, valid: timedelta = DAY, self_signed: bool = False) -> str:
        """Return the path of a new certificate for some hosts, with its key.

        Args:
            *hosts: Their names, or IP addresses.
            valid: How long it holds from now on. Below zero, it has expired.
            self_signed: Whether it is signed with its own key, not with the authority's.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(hosts[0])
        alternatives = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        certificate = (
            self._builder(name, name if self_signed else self._name, key, valid)
            .add_extension(alternatives, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .sign(key if self_signed else self._key, hashes.SHA256())
        )
        self._files += 1
        file = self._folder / f"certificate{self._files}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return str(file)

    def server(self, *hosts: str, valid: timedelta = DAY, self_signed: bool = False) -> ssl.SSLContext:
        """Return what a TLS server with a new certificate needs; the certificate is for loopback, if for no hosts."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(*(hosts or (LOOPBACK,)), valid=valid, self_signed=self_signed))
        return context

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, valid: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + valid)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    key.public_key() if subject == issuer else self._key.public_key()
                ),
                critical=False,
            )
        )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
