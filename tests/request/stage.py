"""A gateway on virtual time: real connections of the pool to scripted providers, and a client that notes what it gets.

The rule: nothing between `Gateway.answer` and the bytes on a socket is replaced. A connection is a pair of local
sockets, which carry bytes at once, so that trio's clock may jump whenever all tasks wait; only dialling, the provider
and the client are ours. All times are seconds after the beginning, exact.
"""

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from importlib import resources
from math import exp
from random import Random
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

import msgspec
import trio
import trio.testing

from appliance.domain.identity import ApiKey, Organisation
from appliance.domain.profile import NO_PROFILES, Profile
from appliance.domain.record import AttemptRecord, Observed, RequestRecord, Settled
from appliance.http1.limits import Limits
from appliance.net.stream import SocketStream
from appliance.policy.latency import Series
from appliance.policy.plan import Plan
from appliance.policy.prices import PRICES_FILE, PriceTable
from appliance.request.answer import Gateway
from appliance.request.call import Call, Header
from appliance.request.endpoint import CHAT, Endpoint
from appliance.services import pulse
from appliance.settings import Settings
from appliance.store.memory import MemoryDirectory, MemoryLedger
from appliance.upstream.transport import Pool

MODEL = "gpt-5.4"
SECRET = "sk-upstream-credential"
RESERVE_S = {"default": 5.0}
"""The operator's word: a race within 10 s launches default at 5 s."""
NO_HEADERS: MappingProxyType[bytes, bytes] = MappingProxyType({})

Step = tuple[float, bytes | str]
"""Seconds after the request came, and what is then sent; "close" closes, "reset" breaks the connection."""


# -- what a provider says ----------------------------------------------------------------------------------------------


def head(status: int = 200, kind: str = "text/event-stream", *more: str, length: int | None = None) -> bytes:
    """A head; chunked unless a length is given."""
    framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    return "\r\n".join([f"HTTP/1.1 {status} Said", f"content-type: {kind}", framing, *more, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"


def chat_event(tier: str, **facts: Any) -> bytes:
    fields = {"id": f"chatcmpl-{tier}", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return b"data: " + msgspec.json.encode(fields | {"service_tier": tier} | facts) + b"\n\n"


def delta(tier: str, given: dict[str, Any], finish: str | None = None) -> bytes:
    return chat_event(tier, choices=[{"index": 0, "delta": given, "finish_reason": finish}])


def role(tier: str) -> bytes:
    return delta(tier, {"role": "assistant", "content": ""})


def usage(tier: str, tokens: int = 10) -> bytes:
    used = {"prompt_tokens": 100, "completion_tokens": tokens, "total_tokens": 100 + tokens}
    return chat_event(tier, choices=[], usage=used)


DONE = b"data: [DONE]\n\n"


def starts(
    at_s: float, tier: str, *, ends_s: float | None = None, words: Sequence[str] = ("Hello",), tokens: int = 10
) -> list[Step]:
    """A stream: head and role at once, the first word at `at_s`, all else at `ends_s` (None: at once too).

    `tokens`: how long the answer is, as the usage says.
    """
    last_s = at_s if ends_s is None else ends_s
    said = b"".join(chunk(delta(tier, {"content": word})) for word in words[1:])
    rest = said + chunk(delta(tier, {}, "stop")) + chunk(usage(tier, tokens)) + chunk(DONE) + END
    return [(0.0, head() + chunk(role(tier))), (at_s, chunk(delta(tier, {"content": words[0]}))), (last_s, rest)]


def refuses(at_s: float, status: int, code: str, *more: str) -> list[Step]:
    """An error answer."""
    body = msgspec.json.encode(
        {"error": {"message": "words of the provider", "type": "x", "param": None, "code": code}}
    )
    return [(at_s, head(status, "application/json", *more, length=len(body)) + body)]


def whole(at_s: float, body: dict[str, Any]) -> list[Step]:
    """An unstreamed answer."""
    data = msgspec.json.encode(body)
    return [(at_s, head(200, "application/json", length=len(data)) + data)]


SILENCE: list[Step] = []
"""The request is taken, and nothing follows."""


# -- the provider ------------------------------------------------------------------------------------------------------


class Asked(msgspec.Struct):
    """One request as the provider saw it. `gone_s`: when it saw that nobody waits any more (None: never)."""

    tier: str | None
    at_s: float
    head: bytes
    body: dict[str, Any]
    ours: SocketStream
    answered: bool = False
    gone_s: float | None = None


class Refusal(msgspec.Struct, frozen=True):
    """A dial that fails: the error, after so many seconds."""

    after_s: float
    error: Exception


class Provider:
    """Plays a script for each tier (a list of them is played in order), over local socket pairs."""

    def __init__(self, nursery: trio.Nursery, scripts: dict[str | None, Any]) -> None:
        self._nursery = nursery
        self._scripts = {tier: list(play) if _several(play) else [play] for tier, play in scripts.items()}
        self.asked: list[Asked] = []
        self.dialled: list[SocketStream] = []
        self.dials: list[float | Refusal] = []
        """What the coming dials do, the first first: take so long, or fail; none: connected at once."""
        self.deaf = False
        """True: it accepts connections and reads nothing."""

    async def dial(self, host: str, port: int, tls: ssl.SSLContext | None) -> SocketStream:
        """The pool's dialer."""
        plan = self.dials.pop(0) if self.dials else 0.0
        await trio.sleep(plan.after_s if isinstance(plan, Refusal) else plan)
        if isinstance(plan, Refusal):
            raise plan.error
        ours, theirs = socket.socketpair()
        stream = SocketStream(ours)
        self.dialled.append(stream)
        self._nursery.start_soon(self._serve, SocketStream(theirs), stream)
        return stream

    async def _serve(self, theirs: SocketStream, ours: SocketStream) -> None:
        buffer = b""
        try:
            if self.deaf:
                await trio.sleep_forever()
            while True:
                while b"\r\n\r\n" not in buffer:
                    if not (data := await theirs.receive_some()):
                        return
                    buffer += data
                raw, _, buffer = buffer.partition(b"\r\n\r\n")
                sizes = [line[15:] for line in raw.lower().split(b"\r\n") if line.startswith(b"content-length")]
                size = int(sizes[0]) if sizes else 0
                while len(buffer) < size:
                    if not (data := await theirs.receive_some()):
                        return
                    buffer += data
                body, buffer = msgspec.json.decode(buffer[:size] or b"{}"), buffer[size:]
                asked = Asked(body.get("service_tier") or body.get("serviceTier"), trio.current_time(), raw, body, ours)
                self.asked.append(asked)
                if not await self._play(theirs, asked):
                    return
        except trio.BrokenResourceError:
            pass  # closed while there were bytes that nobody had read
        finally:
            theirs.close()

    async def _play(self, theirs: SocketStream, asked: Asked) -> bool:
        """Play the tier's script; False when the connection is of no more use."""
        plays = self._scripts[asked.tier]
        steps: list[Step] = plays.pop(0) if len(plays) > 1 else plays[0]
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                try:
                    data = await theirs.receive_some()
                except trio.BrokenResourceError:
                    data = b""
                assert data == b"", "nothing is sent before the answer is complete"
                asked.gone_s = trio.current_time()
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            for after_s, what in steps:
                await trio.sleep_until(asked.at_s + after_s)
                if isinstance(what, str):
                    nursery.cancel_scope.cancel()
                    return False
                asked.answered = what.endswith(END) or b"content-length" in what
                try:
                    await theirs.send_all(what)
                except trio.BrokenResourceError:
                    await trio.sleep_forever()  # the watch sees it too
            if not asked.answered:
                await trio.sleep_forever()
            nursery.cancel_scope.cancel()
        return asked.gone_s is None


def _several(play: list[Any]) -> bool:
    return bool(play) and isinstance(play[0], list)


# -- the client --------------------------------------------------------------------------------------------------------


class Client:
    """A reply that notes what it is given, and when. `slow()` makes it take nothing more until `quick()`."""

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage
        self.started = self.ended = self.busy = self.gone = False
        self.sent_bytes = 0
        self.commented_s = 0.0
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.began_s: float | None = None
        self.ended_s: float | None = None
        self.open_when_begun: list[str | None] = []
        self.comments_s: list[float] = []
        self.pieces: list[tuple[float, bytes]] = []
        self._gate: trio.Event | None = None

    def slow(self) -> None:
        self._gate = trio.Event()

    def quick(self) -> None:
        if self._gate is not None:
            self._gate.set()
            self._gate = None

    def _begin(self, status: int, headers: Sequence[Header]) -> None:
        assert not self.started, "an answer begins once"
        self.started = True
        self.status = status
        self.headers = {name.decode(): value.decode() for name, value in headers}
        self.began_s = trio.current_time()
        self.open_when_begun = [
            asked.tier for asked in self._stage.provider.asked if not asked.answered and not asked.ours.closed
        ]

    def _reach(self) -> None:
        assert not self.ended, "nothing follows the end"
        if self.gone:  # a connection that is found broken takes nothing, not even a status line
            raise trio.BrokenResourceError

    async def _take(self, data: bytes) -> None:
        self.sent_bytes += len(data)  # handed over, as the lanes count it: what a slow client has taken is its body
        self.busy = True
        if self._gate is not None:
            await self._gate.wait()
        self.busy = False
        self.body += data
        self.pieces.append((trio.current_time(), data))

    async def whole(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        self._reach()
        self._begin(status, headers)
        await self._take(body)
        self._end()

    async def start(self, headers: Sequence[Header], first: bytes = b"") -> None:
        self._reach()
        self._begin(200, headers)
        await self._take(first)

    async def send(self, data: bytes) -> None:
        assert self.started
        self._reach()
        await self._take(data)

    async def end(self, last: bytes = b"") -> None:
        assert self.started
        self._reach()
        await self._take(last)
        self._end()

    def _end(self) -> None:
        self.ended = True
        self.ended_s = trio.current_time()

    def keep_alive(self, headers: Sequence[Header], comment: bytes, now_s: float) -> None:
        assert not self.ended and not self.busy
        if not self.started:
            self._begin(200, headers)
        self.commented_s = now_s
        self.comments_s.append(now_s)
        self.body += comment

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> Any:
        """The error of an answer that is one, or of the event that ends a stream."""
        body = self.body
        if b"data: " in body:
            body = body.rstrip(b"\n").rpartition(b"data: ")[2]
        return msgspec.json.decode(body)["error"]

    @property
    def text(self) -> str:
        """The content of a chat stream."""
        said = ""
        for line in self.body.split(b"\n"):
            if line.startswith(b"data: {"):
                for choice in msgspec.json.decode(line[6:]).get("choices", ()):
                    said += choice["delta"].get("content") or ""
        return said


# -- the stage ---------------------------------------------------------------------------------------------------------


class Stage:
    """A gateway, its provider, its records. `call` asks and returns when all is over."""

    def __init__(
        self,
        nursery: trio.Nursery,
        scripts: dict[str | None, Any],
        *,
        settings: dict[str, Any] | None = None,
        key: dict[str, Any] | None = None,
        provider: dict[str, Any] | None = None,
        profiles: Mapping[str, Profile] = NO_PROFILES,
        race_slots: int = 1000,
        explore: bool = False,
    ) -> None:
        self.nursery = nursery
        self.provider = Provider(nursery, scripts)
        facts: dict[str, Any] = {"base_url": "http://provider.test/v1", "models": (MODEL,), "price_as": "openai"}
        self.directory = (
            MemoryDirectory(Organisation("org_test", "test", race_slots=race_slots, explore=explore))
            .with_key("key", **(key or {}))
            .with_provider("sim", SECRET, **(facts | (provider or {})))
        )
        self.ledger = MemoryLedger()
        self.settled: list[Settled] = []
        self.observed: list[Observed] = []
        self.settings = Settings(**({"reserve_s": RESERVE_S} | (settings or {})))
        self.pool = Pool(
            self.provider.dial,
            tls=ssl.create_default_context,
            limits=Limits(body_bytes=1 << 32),
            connect_timeout_s=self.settings.connect_timeout_s,
            idle_s=self.settings.pool_idle_s,
        )
        self.gateway = Gateway(
            settings=self.settings,
            directory=self.directory,
            ledger=self.ledger,
            records=self.ledger,
            prices=prices(),
            pool=self.pool,
            unix_s=lambda: 1_790_000_000.0 + trio.current_time(),
            on_settled=self.settled.append,
            on_observed=self.observed.append,
            profiles=profiles,
        )
        nursery.start_soon(self.pool.run)
        nursery.start_soon(self.gateway.observatory.run)
        nursery.start_soon(pulse.run, self.gateway, lambda: None)

    @property
    def key(self) -> ApiKey:
        return self.directory.keys()[0]

    def prepare(
        self,
        fields: dict[str, Any],
        *,
        headers: dict[bytes, bytes] | MappingProxyType[bytes, bytes] = NO_HEADERS,
        endpoint: Endpoint = CHAT,
        argument: str = "",
        query: bytes = b"",
    ) -> tuple[Call, Client]:
        """A call that has just arrived, and its client."""
        client = Client(self)
        usual: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
        call = Call(
            endpoint=endpoint,
            argument=argument,
            method=b"POST",
            path=b"/v1/" + endpoint.upstream.lstrip(b"/"),
            query=query,
            headers=list(headers.items()),
            get=headers.get,
            body=msgspec.json.encode(usual | fields),
            key=self.key,
            peer="127.0.0.1",
            reply=client,
            scope=trio.CancelScope(),
            request_id=f"req_{len(self.settled)}",
            arrived_s=trio.current_time(),
            at_unix_us=1,
        )
        return call, client

    async def run(self, call: Call) -> None:
        """What a lane does with a call; then everybody has seen what came of it."""
        with trio.CancelScope(shield=True):
            while not self.gateway.observatory.open:
                await trio.lowlevel.checkpoint()
        with call.scope:
            await self.gateway.answer(call)
        await trio.testing.wait_all_tasks_blocked()

    async def call(self, meanwhile: "Meanwhile | None" = None, **fields: Any) -> Client:
        """Ask for chat; `meanwhile` runs beside it, with the call and its client."""
        call, client = self.prepare(fields)
        async with trio.open_nursery() as nursery:
            if meanwhile is not None:
                nursery.start_soon(meanwhile, call, client)
            await self.run(call)
            nursery.cancel_scope.cancel()
        self.check()
        return client

    async def race(self, meanwhile: "Meanwhile | None" = None, **fields: Any) -> Client:
        """Ask for a streamed chat answer that starts within 10 s: default is launched at 5 s."""
        return await self.call(meanwhile, **({"stream": True, "start_within": "10s"} | fields))

    def check(self) -> None:
        """What holds whenever no call is in work."""
        assert self.gateway.live == {}
        assert self.gateway.slots.taken("org_test") == 0
        assert self.ledger.settled == self.settled
        assert self.ledger.observed == self.observed
        settled = [one.request.request_id for one in self.settled]
        assert len(set(settled)) == len(settled), "settled once"
        begun = [one.request_id for one in self.ledger.begun]
        dispatched = {one.request.request_id for one in self.settled if one.attempts}
        assert len(begun) == len(dispatched) and set(begun) == dispatched, "begun if dispatched"
        in_use = sum(not stream.closed for stream in self.provider.dialled) - self.pool.idle_count()
        lingering = len(self.gateway.observatory.running)
        assert in_use == lingering, "each connection is closed, idle in the pool or of an attempt that was left running"
        pending = [(one.request.request_id, it.ordinal) for one in self.settled for it in one.attempts if it.runs_on]
        heard = [(one.request_id, one.attempt.ordinal) for one in self.observed]
        assert len(set(heard)) == len(heard) and set(heard) <= set(pending), "observed once, and what was left running"
        assert len(pending) - len(heard) == lingering, "each that was left running is heard of, or runs still"

    def teach(self, tier: str, started_s: Iterable[float], *, behind: bool = False) -> None:
        """Let the engine have seen attempts of the usual model that started so long after their launch."""
        (provider,) = self.directory.providers("org_test")
        series, now_s = Series(provider.provider_id, MODEL, tier, 0, behind), trio.current_time()
        for took_s in started_s:
            self.gateway.engine.model.begin(series, now_s - took_s).end("started", now_s)

    def teach_usual(self) -> None:
        """Flex: half within 8 s, a tenth after 33 s. Default: half within 1.2 s, one in a hundred after 3.8 s."""
        self.teach("flex", log_normal_times(8.0, 1.1))
        self.teach("default", log_normal_times(1.2, 0.5))
        self.teach("default", log_normal_times(1.2, 0.5), behind=True)

    def let_linger(self, *places: int) -> None:
        """From now on plans say of these rungs that they are left running if another one wins."""
        engine = self.gateway.engine
        plan = engine.plan

        def lingering(*args: Any, **more: Any) -> Plan:
            return msgspec.structs.replace(plan(*args, **more), linger=frozenset(places))

        engine.plan = lingering  # type: ignore[method-assign]

    @property
    def request(self) -> RequestRecord:
        """The record of the only request."""
        (one,) = self.settled
        return one.request

    @property
    def attempts(self) -> tuple[AttemptRecord, ...]:
        """The records of the only request's attempts."""
        (one,) = self.settled
        return one.attempts

    def story(self) -> list[tuple[str | None, float, str, float]]:
        """(tier, start, outcome, end) of each attempt of the only request."""
        return [(one.tier_sent, one.start_s, one.outcome, one.end_s) for one in self.attempts]


Meanwhile = Callable[[Call, Client], Awaitable[None]]


def log_normal_times(median_s: float, sigma: float, count: int = 600) -> list[float]:
    """The quantiles of a log-normal distribution, in no order: the newest count most."""
    normal = NormalDist()
    times = [median_s * exp(sigma * normal.inv_cdf((place + 0.5) / count)) for place in range(count)]
    Random(1).shuffle(times)
    return times


def prices() -> PriceTable:
    """The real price list."""
    return PriceTable(resources.files("appliance.policy").joinpath(PRICES_FILE).read_bytes())


def at(when_s: float, do: Callable[[Call, Client], None]) -> Meanwhile:
    """Do something at that time."""

    async def then(call: Call, client: Client) -> None:
        await trio.sleep_until(call.arrived_s + when_s)
        do(call, client)

    return then


def leaves(when_s: float) -> Meanwhile:
    """The client leaves at that time."""

    def leave(call: Call, client: Client) -> None:
        client.gone = True
        call.leave("client_gone")

    return at(when_s, leave)
