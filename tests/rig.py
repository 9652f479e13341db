"""A whole appliance over real sockets with a simulated provider behind it, in one trio run, and a raw HTTP/1.1 client.

The rule: one rig for every test that needs the way of a request from end to end; nothing in it is replaced by a fake.
"""

import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
import trio

from appliance.app import Appliance, open_appliance, serve
from appliance.domain.catalog import Provider
from appliance.domain.identity import ApiKey
from appliance.domain.record import Settled
from appliance.net.resolver import Lookup
from appliance.server.listen import open_tcp, open_unix
from appliance.settings import load
from appliance.simulator.server import Simulator
from appliance.simulator.world import Behaviour, Model, World

QUICK = Behaviour(start=0, admission_s=0, tokens_per_s=0, refusal_after_s=0, output_tokens=8)
MODEL = "gpt-5.4-nano"
CHAT = "/v1/chat/completions"
PROVIDER_SECRET = "sk-sim-of-the-rig"

Head = list[tuple[str, str]]


def quick_world() -> World:
    """Every model answers at once, on every tier; overrides in the request say otherwise."""
    model = Model(tiers={"flex": QUICK, "default": QUICK, "priority": QUICK}, dimensions=4)
    return World(models={"*": model})


def request(
    method: str = "POST",
    path: str = CHAT,
    *,
    key: str = "",
    body: bytes | dict[str, Any] | None = None,
    headers: Head | None = None,
    version: str = "1.1",
) -> bytes:
    """The bytes of one request; a dict becomes JSON. Headers given replace those made here of the same name."""
    content = msgspec.json.encode(body) if isinstance(body, dict) else body
    own: Head = [("host", "startline.test")]
    if key:
        own.append(("authorization", f"Bearer {key}"))
    if content is not None:
        own += [("content-type", "application/json"), ("content-length", str(len(content)))]
    given = headers or []
    names = {name.lower() for name, _ in given}
    lines = [f"{name}: {value}" for name, value in [item for item in own if item[0] not in names] + given]
    return "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "", ""]).encode("latin-1") + (content or b"")


def chat(text: str = "hi", *, model: str = MODEL, sim: str = "", **more: Any) -> dict[str, Any]:
    """The body of a chat request; `sim` is an override of the simulator's behaviour."""
    named = f"{model}@sim:{sim}" if sim else model
    return {"model": named, "messages": [{"role": "user", "content": text}], **more}


class Answer(msgspec.Struct):
    """One answer as it came: interim answers are kept apart."""

    status: int
    headers: Head
    body: bytes
    interim: list[int]
    complete: bool
    """Whether the framing said that it was whole (False: the connection ended within it)."""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """The code of an answer that is an error."""
        return str(self.json["error"]["code"])


class Client:
    """A bare connection to the appliance: sends bytes, reads answers, knows no manners."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = b""
        self._ended = False
        self.was_reset = False
        """Whether the connection ended in disorder."""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def send_slowly(self, data: bytes) -> None:
        """In two-byte pieces, so that every boundary is met."""
        for at in range(0, len(data), 2):
            await self.stream.send_all(data[at : at + 2])
            await trio.lowlevel.checkpoint()

    async def _more(self) -> bool:
        if self._ended:
            return False
        try:
            data = await self.stream.receive_some()
        except trio.BrokenResourceError:
            data, self.was_reset = b"", True
        self._ended = not data
        self._buffer += data
        return bool(data)

    async def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._buffer:
            if not await self._more():
                return None
        part, _, self._buffer = self._buffer.partition(mark)
        return part + mark

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size and await self._more():
            pass
        part, self._buffer = self._buffer[:size], self._buffer[size:]
        return part

    async def answer(self, method: str = "POST") -> Answer:
        """The next answer. Raises EOFError if the connection ends before its head."""
        interim: list[int] = []
        while True:
            head = await self._until(b"\r\n\r\n")
            if head is None:
                raise EOFError(f"no answer, but {self._buffer!r}")
            line, *lines = head.decode("latin-1").split("\r\n")[:-2]
            status = int(line.split(" ")[1])
            headers = [(name.lower(), value.strip()) for name, _, value in (item.partition(":") for item in lines)]
            if status >= 200:
                break
            interim.append(status)
        table = dict(headers)
        if method == "HEAD" or status in (204, 304):
            return Answer(status, headers, b"", interim, True)
        if "content-length" in table:
            body = await self._exactly(int(table["content-length"]))
            return Answer(status, headers, body, interim, len(body) == int(table["content-length"]))
        if table.get("transfer-encoding") == "chunked":
            body, complete = await self._chunks()
            return Answer(status, headers, body, interim, complete)
        while await self._more():
            pass
        body, self._buffer = self._buffer, b""
        return Answer(status, headers, body, interim, True)

    async def _chunks(self) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        while True:
            line = await self._until(b"\r\n")
            if line is None:
                return b"".join(parts) + self._buffer, False
            size = int(line, 16)
            data = await self._exactly(size + 2)
            if len(data) < size + 2:
                return b"".join(parts) + data, False
            if not size:
                return b"".join(parts), True
            parts.append(data[:-2])

    async def until(self, mark: bytes) -> bytes:
        """Everything received up to and with `mark` (within an answer). Raises EOFError."""
        found = await self._until(mark)
        if found is None:
            raise EOFError(f"{mark!r} never came, but {self._buffer!r}")
        return found

    async def ended(self) -> bytes:
        """What is left until the server ends the connection."""
        while await self._more():
            pass
        left, self._buffer = self._buffer, b""
        return left

    async def half_close(self) -> None:
        await self.stream.send_eof()

    async def close(self) -> None:
        await self.stream.aclose()


class Rig:
    """The running parts, the keys that may use them, and the records that came out."""

    def __init__(self, appliance: Appliance, simulator: Simulator, folder: Path, port: int) -> None:
        self.appliance = appliance
        self.simulator = simulator
        self.journal = simulator.journal
        self.folder = folder
        self.port = port
        self.key: ApiKey
        self.token = ""
        self.management_token = ""
        self.serving = trio.CancelScope()
        self.stopped = trio.Event()
        self._clients: list[Client] = []
        self.settled: list[Settled] = []
        inner = appliance.gateway._on_settled

        def note(settled: Settled) -> None:
            self.settled.append(settled)
            inner(settled)

        appliance.gateway._on_settled = note

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> Client:
        """A new bare connection, closed with the rig."""
        client = Client(await trio.open_tcp_stream("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    async def connect_operator(self) -> Client:
        """A new bare connection over the Unix socket in the data folder."""
        client = Client(await trio.open_unix_socket(self.folder / "socket"))
        self._clients.append(client)
        return client

    def http(self, **options: Any) -> httpx.AsyncClient:
        """An HTTP client with the inference key."""
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=self.base_url, headers=headers, timeout=30, trust_env=False, **options)

    async def new_key(self, kind: Any = "inference", **facts: Any) -> tuple[ApiKey, str]:
        """Another key of the organisation; facts are fields of ApiKey."""
        created = facts.pop("now_unix_s", int(time.time_ns() // 10**9))
        organisation_id = self.appliance.store.directory.organisations()[0].organisation_id
        return await self.appliance.store.api_keys.create(organisation_id, kind, "another", now_unix_s=created, **facts)

    async def add(self, name: str, kind: Any, path: str = "/v1", **facts: Any) -> Provider:
        """Another provider of the organisation, played by the same simulator; facts are fields of Provider."""
        organisation_id = self.appliance.store.directory.organisations()[0].organisation_id
        base_url = self.simulator.base_url.removesuffix("/v1") + path
        provider = Provider("", organisation_id, name, kind, base_url, price_as=kind, **facts)
        return await self.appliance.store.providers.add(provider, PROVIDER_SECRET, now_unix_s=1)

    async def alive(self) -> None:
        """Assert that the server serves, in both lanes, on connections of their own."""
        with trio.fail_after(10):
            for path, key in (("/v1/models", self.token), ("/healthz", "")):
                client = await self.connect()
                await client.send(request("GET", path, key=key))
                assert (await client.answer("GET")).status == 200, path
                await client.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds, looking at it again and again without waiting on the clock."""
        with trio.fail_after(10):
            while not condition():
                await trio.lowlevel.checkpoint()

    async def _close(self) -> None:
        for client in self._clients:
            await client.close()


@asynccontextmanager
async def running(
    world: World | None = None,
    *,
    seed: int = 1,
    time_scale: float = 1.0,
    operator: bool = False,
    limit_s: float = 60.0,
    send_buffer_bytes: int = 0,
    data_folder: Path | None = None,
    vfs: str | None = None,
    lookup: Lookup = socket.getaddrinfo,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """Run a rig on a temporary folder, for `limit_s` at most; `settings` are settings of the appliance.

    Races launch default 5 s before the deadline unless `reserve_s` says otherwise.
    `lookup` finds the addresses of names.
    `send_buffer_bytes`: what the kernel takes for a client that does not read (0: what the kernel likes).
    `data_folder` and `vfs`: instead of a temporary folder and SQLite's own way to the disk.

    At the end it checks that the simulator met no bug of its own and saw nothing that a gateway must keep to itself.
    """
    with TemporaryDirectory() as made, trio.fail_after(limit_s):
        folder = data_folder or Path(made)
        async with trio.open_nursery() as outer:
            simulator = Simulator(world or quick_world(), seed=seed, time_scale=time_scale)
            base_url = await outer.start(simulator.serve)
            loaded = load(environment={}, overrides={"reserve_s": {"default": 5.0}} | settings)
            async with open_appliance(loaded, folder, vfs=vfs, lookup=lookup) as appliance:
                sockets = open_tcp("127.0.0.1:0")
                if send_buffer_bytes:
                    sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
                rig = Rig(appliance, simulator, folder, sockets[0].getsockname()[1])
                await _furnish(rig, base_url)
                if operator:
                    sockets.append(open_unix(folder / "socket"))

                async def listen(*, task_status: trio.TaskStatus[None]) -> None:
                    with rig.serving:
                        await serve(appliance, sockets, task_status=task_status)
                    rig.stopped.set()

                await outer.start(listen)
                try:
                    yield rig
                finally:
                    rig.serving.cancel()
                    await rig._close()
                    with trio.move_on_after(loaded.shutdown_s + 5, shield=True) as patience:
                        await rig.stopped.wait()
                assert not patience.cancelled_caught, "the stop was not bounded"
            assert list(simulator.journal.errors) == []
            assert [entry.forbidden for entry in simulator.journal if entry.forbidden] == []
            outer.cancel_scope.cancel()


async def _furnish(rig: Rig, base_url: str) -> None:
    store, now = rig.appliance.store, int(time.time_ns() // 10**9)
    organisation = await store.organisations.create("acme", now_unix_s=now, explore=False)
    organisation_id = organisation.organisation_id
    rig.key, rig.token = await store.api_keys.create(organisation_id, "inference", "laptop", now_unix_s=now)
    _, rig.management_token = await store.api_keys.create(organisation_id, "management", "desk", now_unix_s=now)
    provider = Provider(
        "", organisation_id, "sim", "openai", base_url, tiers=("flex", "default", "priority"), price_as="openai"
    )
    await store.providers.add(provider, PROVIDER_SECRET, now_unix_s=now)
