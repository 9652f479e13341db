"""What every connection of this server shares: the gateway, the clocks, the date header, whether we are stopping."""

import secrets
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol

import msgspec
import trio

from appliance.domain.errors import FAULTS, CallerFault, Fault
from appliance.domain.ids import request_id
from appliance.http1.limits import Limits
from appliance.http1.refusal import ProtocolRefusal
from appliance.net.hangup import HangUps
from appliance.policy.address import Proxies
from appliance.request.answer import Gateway
from appliance.request.call import Reply
from appliance.settings import Settings

ID_RANDOM_BYTES = 7
RANDOM_BYTES = ID_RANDOM_BYTES * 512


REFUSALS = {413: "request_too_large", 417: "expectation_failed", 431: "head_too_large", 501: "not_implemented"}
REFUSALS |= {505: "http_version"}


def protocol_fault(refusal: ProtocolRefusal) -> CallerFault:
    """What is told to a client that broke HTTP/1.1 or a limit."""
    code, detail = REFUSALS.get(refusal.status, "bad_framing"), refusal.detail
    return CallerFault(code, f"{detail[:1].upper()}{detail[1:]}. {FAULTS[code].remedy}", status=refusal.status)


class Patience(msgspec.Struct, frozen=True):
    """How long a client may take, by what its connection waits for; `shortest_s` is how often that is looked at."""

    idle_s: float
    head_s: float
    body_s: float
    body_total_s: float

    @property
    def shortest_s(self) -> float:
        """How often the reader looks at the clock: so no limit is passed by more than a half."""
        return min(self.idle_s, self.head_s, self.body_s, self.body_total_s) / 2

    @property
    def too_slow(self) -> str:
        """What a client is told whose body never pauses and never ends."""
        return f"The request's body took longer than {self.body_total_s:g} seconds."

    def of_s(self, phase: str) -> float:
        """The limit of a phase; infinite where the client is not the one awaited."""
        return {"IDLE": self.idle_s, "HEAD": self.head_s, "BODY": self.body_s}.get(phase, float("inf"))


class Watched(Protocol):
    """A connection of the fast lane, as it is watched from outside."""

    def look(self, now_s: float) -> None:
        """End it if its client takes too long to send."""
        ...

    def stop(self) -> None:
        """Close if idle; else make the answer in work the last."""
        ...


class Front:
    """Shared by the connections of one server; `stopping` makes each answer its connection's last."""

    def __init__(
        self, gateway: Gateway, settings: Settings, on_refused: Callable[[str], None] = lambda _: None
    ) -> None:
        self.gateway = gateway
        self.on_refused = on_refused
        self.limits = Limits(body_bytes=settings.max_body_bytes)
        self.patience = Patience(
            settings.keep_alive_s, settings.head_timeout_s, settings.body_timeout_s, settings.body_total_s
        )
        self.write_timeout_s = settings.write_timeout_s
        self.requests_per_connection = settings.max_requests_per_connection
        self.proxies = Proxies(settings.trusted_proxies)
        self.stopping = False
        self.fast: set[Watched] = set()
        self.hangups = HangUps()
        self.outbox = gateway.pool.outbox
        self._date = (0, b"")
        self._random = b""
        self._next_random = 0

    def date(self) -> bytes:
        """The Date header's value, made once a second."""
        second = time.time_ns() // 1_000_000_000
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True).encode())
        return self._date[1]

    def unix_us(self) -> int:
        """Wall clock in microseconds."""
        return time.time_ns() // 1000

    def request_id(self, at_unix_us: int) -> str:
        """A new request id. Its random bytes are taken from the system a page at a time: each call costs 0.5 µs."""
        if self._next_random >= len(self._random):
            self._random = secrets.token_bytes(RANDOM_BYTES)
            self._next_random = 0
        at = self._next_random
        self._next_random = at + ID_RANDOM_BYTES
        return request_id(at_unix_us, self._random[at : at + ID_RANDOM_BYTES])

    async def refuse(self, reply: Reply, fault: Fault, request_id: str, dialect: str = "openai_chat") -> None:
        """Turn a request away that never became a call: it has no record, but it is counted."""
        self.on_refused(fault.kind.code)
        await self.gateway.refuse(reply, fault, request_id, dialect)

    async def watch(self) -> None:
        """Look at every connection now and then, until cancelled; so no limit is passed by more than a half."""
        while True:
            await trio.sleep(self.patience.shortest_s)
            now_s = trio.current_time()
            for connection in list(self.fast):
                connection.look(now_s)

    def stop(self) -> None:
        """Tell every connection that its answer in work is its last."""
        self.stopping = True
        for connection in list(self.fast):
            connection.stop()
