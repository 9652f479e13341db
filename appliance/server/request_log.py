"""One log line for each request. The rule: what the usage row has, and nothing that it has not.

At thousands of requests a second a write for each line is dear, so lines of requests go out together: a quiet server
writes each at once, a busy one a few times a second. A warning never waits: it is no line of a request.
"""

import time
from collections.abc import Callable

import msgspec
import structlog
import trio

from appliance.domain.money import usd
from appliance.domain.record import Settled

BATCH_LINES = 128
BATCH_S = 0.25

Write = Callable[[bytes], None]
"""Takes whole lines of JSON."""


class RequestLine(msgspec.Struct, frozen=True, gc=False):
    """The canonical line of a request."""

    at: str
    level: str
    event: str
    id: str
    key: str
    endpoint: str
    model: str | None
    provider: str | None
    asked: str
    served: str | None
    reason: str | None
    status: int
    error: str | None
    start_s: float | None
    total_s: float
    overhead_s: float
    attempts: int
    cost_usd: str | None  # shape: allow units because it is the text that people read, not a number
    client_gone: bool


class RequestLog:
    """Writes the canonical line of each request that ended; through structlog where no `write` for JSON is given."""

    def __init__(self, write: Write | None = None) -> None:
        self._write = write
        self._log = structlog.get_logger().bind()
        self._encode = msgspec.json.Encoder().encode_lines
        self._second = (0, "")
        self._waiting: list[RequestLine] = []
        self._flushed_s = 0.0
        self._now_s = trio.lowlevel.current_clock().current_time

    @property
    def waiting(self) -> int:
        """Lines that wait for others."""
        return len(self._waiting)

    def settled(self, settled: Settled) -> None:
        """Write the line, at once or soon."""
        line = self._line(settled)
        if self._write is None:
            facts = msgspec.structs.asdict(line)
            del facts["at"], facts["level"]
            self._log.info(facts.pop("event"), **facts)
            return
        self._waiting.append(line)
        if len(self._waiting) >= BATCH_LINES or self._now_s() >= self._flushed_s + BATCH_S:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait."""
        if self._waiting and self._write is not None:
            lines, self._waiting = self._waiting, []
            self._flushed_s = self._now_s()
            self._write(self._encode(lines))

    def _line(self, settled: Settled) -> RequestLine:
        request = settled.request
        start_s, cost = request.to_start_s, request.cost_nanos
        ended_us = request.at_unix_us + int(request.total_s * 1e6)
        second, rest_us = divmod(ended_us, 1_000_000)
        if self._second[0] != second:
            self._second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        return RequestLine(
            f"{self._second[1]}.{rest_us:06d}Z",
            "info",
            "request",
            request.request_id,
            request.key_id,
            request.endpoint,
            request.model_dispatched,
            request.provider,
            request.tier_asked,
            request.tier_served,
            request.reason,
            request.status,
            request.error_code,
            None if start_s is None else int(start_s * 1e4 + 0.5) / 1e4,  # as round(start_s, 4), in a third of its time
            int(request.total_s * 1e4 + 0.5) / 1e4,
            int(request.overhead_s * 1e6 + 0.5) / 1e6,
            len(settled.attempts),
            None if cost is None else usd(cost),
            request.client_gone,
        )
