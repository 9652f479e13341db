"""Fixtures of the tests of the outside world: scripted servers on real sockets, certificates of our own."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.open_files import nothing_left_open as nothing_left_open
from tests.upstream.scripted import Play, Server


@pytest.fixture
def serve(nursery: trio.Nursery) -> Callable[..., object]:
    """Start a server: `await serve(play, play, …)`, a play for each connection, the last for all further ones."""

    async def start(*plays: Play, tls: ssl.SSLContext | None = None) -> Server:
        server = Server(plays, tls)
        await nursery.start(server.run)
        return server

    return start


class Certificates:
    """Contexts of servers at 127.0.0.1, and the file of the authority that vouches for the first of them."""

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "authority.pem"
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority for tests")])
        root = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        root = root.add_extension(usage, critical=True)
        self.authority.write_bytes(root.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        self.server = self._server("good", x509.IPAddress(IPv4Address("127.0.0.1")))
        self.elsewhere = self._server("elsewhere", x509.DNSName("elsewhere.test"))

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )

    def _server(self, name: str, alternative: x509.GeneralName) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(subject, key).add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        certificate = made.sign(self._key, hashes.SHA256())
        file = self._folder / f"{name}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
