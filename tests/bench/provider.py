"""The provider before which all contestants stand: canned answers by nginx, streams by our own loop, plain and TLS.

The rule: it is the same for everybody and its own limits are measured, so that it is never taken for a contestant's.
"""

import datetime
import http.client
import ipaddress
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.bench import nginx, workload
from tests.bench.processes import LOAD_CORE, Child, Children, free_ports, wait_for_port

# Each contestant is given the provider at an address of its own: the closed connections of one, which keep their ports
# for a minute, must not make the ports of the next one short (a crowded port search is slow, then fails).
HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 17))
KINDS = ("answers", "answers_tls", "streams", "streams_tls")


@dataclass(frozen=True)
class Provider:
    """Where the provider listens, by kind, and what a client needs to trust it."""

    ports: dict[str, int]
    certificate: Path
    answer: bytes
    answers: Child
    streams: Child
    hosts: Iterator[str] = field(default_factory=partial(itertools.cycle, HOSTS))

    def next_host(self) -> str:
        """An address of the provider that the last contestants did not use."""
        return next(self.hosts)

    def base_url(self, kind: str, host: str) -> str:
        """The base URL an SDK would be given, with `/v1`."""
        return f"{'https' if kind.endswith('_tls') else 'http'}://{host}:{self.ports[kind]}/v1"

    def take_stats(self) -> dict[str, Any]:
        """What the stream server noted since the last call; it forgets it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["streams"], timeout=10.0)
        try:
            connection.request("GET", "/stats")
            stats: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return stats


def start_provider(children: Children, files: int) -> Provider:
    """Start both servers on the core of the load. Raises BenchFault when they do not come up."""
    folder = children.folder
    certificate, key = self_signed(folder)
    ports = dict(zip(KINDS, free_ports(len(KINDS)), strict=True))
    socket_path = folder / "streams.sock"
    streams = children.start(
        "streams",
        [sys.executable, "-m", "tests.bench.stream_server", str(ports["streams"]), str(socket_path), *HOSTS],
        LOAD_CORE,
    )
    wait_for_port(streams, ports["streams"])
    command = nginx.provider_command(folder / "provider", files, HOSTS, ports, certificate, key, socket_path)
    answers = children.start("provider", command, LOAD_CORE)
    for kind in KINDS:
        wait_for_port(answers, ports[kind])
    return Provider(ports, certificate, workload.answer(), answers, streams)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key, as PEM files in `folder`."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(host)) for host in HOSTS)]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(secret, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    paths[1].chmod(0o600)
    return paths
