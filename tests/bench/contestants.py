"""The contestants: the gateway, nginx's `proxy_pass`, and a bare relay on trio for orientation.

The rule: all run on the same core, before the same provider, and a scenario knows none of them by name.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import dialects, nginx, workload
from tests.bench.client import Target
from tests.bench.processes import (
    CONTESTANT_CORE,
    BenchFault,
    Child,
    Children,
    free_ports,
    raise_file_limit,
    wait_for_port,
)
from tests.bench.provider import KINDS, Provider

GATEWAY_COMMAND = (sys.executable, "-m", "appliance")
_SECRET = "sk-bench-provider-secret"


@dataclass(frozen=True)
class Contestant:
    """One that runs: its process group and where to send what. `races`: it understands `start_within`."""

    name: str
    child: Child
    targets: Mapping[str, Target]
    races: bool = False


Start = Callable[[Children, Provider], Contestant]


def start_nginx(children: Children, provider: Provider) -> Contestant:
    """nginx with one worker that proxies each kind of the provider on a port of its own."""
    ports = dict(zip(KINDS, free_ports(len(KINDS)), strict=True))
    folder = Path(tempfile.mkdtemp(prefix="nginx-", dir=children.folder)) / "run"
    command = nginx.contestant_command(
        folder, raise_file_limit(), ports, provider.next_host(), provider.ports, provider.certificate
    )
    child = children.start("nginx", command, CONTESTANT_CORE)
    for port in ports.values():
        wait_for_port(child, port)
    return _checked(Contestant("nginx", child, {kind: Target("nginx", ports[kind], "bench") for kind in KINDS}))


def start_relay(children: Children, provider: Provider) -> Contestant:
    """The bare relay: trio and sockets, no keys, no records; what any gateway on trio pays at least."""
    ports = dict(zip(KINDS, free_ports(len(KINDS)), strict=True))
    host = provider.next_host()
    routes = [f"{ports[kind]}:{host}:{provider.ports[kind]}:{int(kind.endswith('_tls'))}" for kind in KINDS]
    argv = [sys.executable, "-m", "tests.bench.bare_relay", str(provider.certificate), *routes]
    child = children.start("relay", argv, CONTESTANT_CORE)
    for port in ports.values():
        wait_for_port(child, port)
    targets = {kind: Target("relay", ports[kind], "bench") for kind in KINDS}
    return _checked(Contestant("relay", child, targets, races=True))


@dataclass(frozen=True)
class GatewaySetup:
    """What a start of the gateway needs, made before by the command line: its command, environment, port and key."""

    command: tuple[str, ...]
    environment: dict[str, str]
    port: int
    key: str

    def start(self, children: Children, *prefix: str) -> Child:
        """Start `serve`; `prefix` replaces the command (a profiler that runs it)."""
        return children.start("gateway", [*(prefix or self.command), "serve"], CONTESTANT_CORE, self.environment)


def prepare_gateway(children: Children, provider: Provider, command: tuple[str, ...] = GATEWAY_COMMAND) -> GatewaySetup:
    """A fresh data folder with the four providers and one key, through the gateway's own offline commands."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-", dir=children.folder))
    port = free_ports(1)[0]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("STARTLINE_")},
        "STARTLINE_DATA_FOLDER": str(folder / "data"),
        "STARTLINE_LISTEN": f"127.0.0.1:{port}",
        "STARTLINE_CA_BUNDLE": str(provider.certificate),
        "STARTLINE_MAX_CONNECTIONS_PER_ADDRESS": "20000",  # all load comes from one address, with one key
        "STARTLINE_MAX_REQUESTS_PER_KEY": "20000",
        "STARTLINE_RESERVE_S": "{ default = 5.0 }",  # all races alike, whatever was learned
        "STARTLINE_HEDGES_PER_KEY_PER_S": "10000",
        "STARTLINE_HEDGES_PER_S": "10000",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    host = provider.next_host()
    for kind in KINDS:
        base_url = provider.base_url(kind, host)
        options = ("--kind", "openai_compatible", "--base-url", base_url, "--tiers", "flex,default,priority")
        _told(command, environment, "provider", "add", _provider_name(kind), *options, stdin=_SECRET)
    profiles = folder / "data" / "profiles"
    profiles.mkdir()
    for dialect, (_, path) in dialects.KINDS.items():
        name = dialects.provider_name(dialect)
        (profiles / f"{name}.toml").write_text(dialects.profile(dialect), encoding="utf-8")
        there = provider.base_url("streams", host).removesuffix("/v1") + path
        _told(command, environment, "provider", "add", name, "--base-url", there, "--any-model", stdin=_SECRET)
    made = _told(command, environment, "key", "create", "--name", "bench", "--json")
    try:
        shown = json.loads(made)
        key = next(value for value in _texts(shown) if value.startswith("sk-sl-"))
    except (ValueError, StopIteration) as reason:
        raise BenchFault("`key create --json` did not print an inference key") from reason
    return GatewaySetup(command, environment, port, key)


def gateway_targets(setup: GatewaySetup) -> dict[str, Target]:
    """Where each kind of request goes: the provider is chosen by the model's prefix."""
    headers = (("Authorization", f"Bearer {setup.key}"),)
    return {kind: Target("gateway", setup.port, f"{_provider_name(kind)}/bench", headers) for kind in KINDS}


def start_gateway(
    children: Children,
    provider: Provider,
    command: tuple[str, ...] = GATEWAY_COMMAND,
    prefix: tuple[str, ...] = (),
) -> Contestant:
    """The gateway with everything on: keys, limits, usage, archive, metrics and a log line for each request."""
    setup = prepare_gateway(children, provider, command)
    child = setup.start(children, *prefix)
    wait_for_port(child, setup.port)
    return _checked(Contestant("gateway", child, gateway_targets(setup), races=True))


def _provider_name(kind: str) -> str:
    return kind.replace("_", "-")


def _texts(shown: object) -> list[str]:
    if isinstance(shown, str):
        return [shown]
    items = shown.values() if isinstance(shown, dict) else shown if isinstance(shown, list) else ()
    return [text for item in items for text in _texts(item)]


def _told(command: tuple[str, ...], environment: Mapping[str, str], *words: str, stdin: str = "") -> str:
    done = subprocess.run(
        [*command, *words], env=dict(environment), input=stdin, capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode:
        raise BenchFault(f"`{' '.join(words)}` ended with status {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def ask_once(target: Target, body: bytes, timeout_s: float = 10.0) -> tuple[int, bytes]:
    """One request on a connection of its own: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=timeout_s)
    try:
        headers = {"Content-Type": "application/json", **dict(target.headers)}
        connection.request("POST", workload.PATH, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def check(contestant: Contestant) -> None:
    """Every kind of request once, answers compared. Raises BenchFault when one is wrong: timing it would be vain."""
    wanted = json.loads(workload.answer())
    for kind, target in contestant.targets.items():
        streamed = kind.startswith("streams")
        body = (
            workload.stream_prompt(target.model, events=5)
            if streamed
            else workload.prompt(target.model, workload.LARGE_PROMPT_BYTES)
        )
        try:
            status, got = ask_once(target, body)
            whole = got.count(workload.MARK) == 5 and b"data: [DONE]" in got if streamed else json.loads(got) == wanted
        except (OSError, ValueError, http.client.HTTPException) as reason:
            raise BenchFault(f"{contestant.name}, {kind}: {reason!r}\n{contestant.child.tail()}") from reason
        if status != 200 or not whole:
            raise BenchFault(f"{contestant.name}, {kind}: status {status}, {len(got)} bytes: {got[:400]!r}")
        contestant.child.must_live()


def _checked(contestant: Contestant) -> Contestant:
    check(contestant)
    return contestant


def settle(child: Child, timeout_s: float = 3.0) -> None:
    """Wait until the process rests: less than 1 % of a core over 0.2 s."""
    deadline = time.monotonic() + timeout_s
    before = child.cpu_s()
    while time.monotonic() < deadline:
        time.sleep(0.2)
        now = child.cpu_s()
        if now - before < 0.002:
            return
        before = now
