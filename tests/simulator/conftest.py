"""Fixtures of the simulator's tests."""

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import httpx
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from appliance.simulator.server import Simulator
from appliance.simulator.world import Behaviour, World
from tests.simulator.running import Running, Start, world_of


@pytest.fixture
async def start(nursery: trio.Nursery) -> AsyncIterator[Start]:
    """Start a simulator: `await start(world, **options)`; without a world, one that answers at once."""
    everyone: list[Running] = []

    async def begin(world: World | None = None, **options: Any) -> Running:
        quick = Behaviour(start=0, admission_s=0, tokens_per_s=0, refusal_after_s=0)
        simulator = Simulator(world or world_of(default=quick, flex=quick, priority=quick), **options)
        base_url = await nursery.start(simulator.serve)
        headers = {"authorization": "Bearer sk-sim-test"}
        client = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=None, trust_env=False)
        everyone.append(Running(simulator, client))
        return everyone[-1]

    yield begin
    for running in everyone:
        await running.aclose()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts for a server on 127.0.0.1 with a certificate of its own, and for a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulator")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))
