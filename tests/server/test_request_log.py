"""The line of a request: what it says, that it goes through structlog or as JSON, and when lines wait."""

from typing import Any

import msgspec
import structlog
import trio
from trio.testing import MockClock

from appliance.server.request_log import BATCH_LINES, BATCH_S, RequestLog
from tests.server.records import settled

LINE = {
    "event": "request", "id": "req_1", "key": "key_1", "endpoint": "chat.completions", "model": "gpt-5.4",
    "provider": "openai", "asked": "30s", "served": "flex", "reason": "flex_won", "status": 200, "error": None,
    "start_s": 1.2346, "total_s": 2.5, "overhead_s": 0.000123, "attempts": 2, "cost_usd": "0.001", "client_gone": False,
}  # fmt: skip


def read(written: list[bytes]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in b"".join(written).splitlines()]


async def test_what_it_says_through_structlog() -> None:
    with structlog.testing.capture_logs() as logs:
        RequestLog().settled(settled(attempts=2))
    assert logs == [{**LINE, "log_level": "info"}]


async def test_what_it_says_as_json(mock_clock: MockClock) -> None:
    mock_clock.jump(10)
    written: list[bytes] = []
    RequestLog(written.append).settled(settled(attempts=2))
    assert read(written) == [{"at": "2023-11-14T22:13:22.750000Z", "level": "info", **LINE}]


async def test_what_is_not_known_is_null(mock_clock: MockClock) -> None:
    mock_clock.jump(10)
    written: list[bytes] = []
    RequestLog(written.append).settled(settled(to_start_s=None, cost_nanos=None, provider=None, error_code="x"))
    (line,) = read(written)
    assert (line["start_s"], line["cost_usd"], line["provider"], line["error"]) == (None, None, None, "x")


async def test_a_quiet_server_writes_at_once_and_a_busy_one_in_batches(mock_clock: MockClock) -> None:
    mock_clock.jump(10)
    written: list[bytes] = []
    log = RequestLog(written.append)
    log.settled(settled())
    assert len(read(written)) == 1
    log.settled(settled())
    assert len(read(written)) == 1, "the second one waits"
    mock_clock.jump(BATCH_S)
    log.settled(settled())
    assert len(read(written)) == 3
    for _ in range(BATCH_LINES):
        log.settled(settled())
    assert len(read(written)) == 3 + BATCH_LINES
    log.settled(settled())
    log.flush()
    log.flush()
    assert len(read(written)) == 4 + BATCH_LINES
    assert trio.current_time() == 10 + BATCH_S
