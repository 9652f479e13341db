"""The line of each request."""

from typing import Any

import msgspec
import structlog

from appliance.server.request_log import RequestLog
from tests.server.test_metrics import settled


def test_a_request_that_ended_is_one_line_with_facts_alone() -> None:
    with structlog.testing.capture_logs() as lines:
        RequestLog().settled(settled(cost_nanos=15_600, total_s=1.23456789))
    [line] = lines
    wanted: dict[str, Any] = {
        "event": "request", "log_level": "info", "id": "req_1", "key": "key_1", "model": "m", "provider": "sim",
        "asked": "30s", "served": "flex", "reason": "flex_won", "status": 200, "attempts": 1,
        "cost_usd": "0.0000156", "total_s": 1.2346, "start_s": 0.3, "client_gone": False,
    }  # fmt: skip
    assert {name: line[name] for name in wanted} == wanted


def test_a_cost_that_is_not_known_is_not_zero() -> None:
    with structlog.testing.capture_logs() as lines:
        RequestLog().settled(settled(cost_nanos=None, to_start_s=None))
    assert lines[0]["cost_usd"] is None and lines[0]["start_s"] is None


async def test_lines_of_a_busy_moment_go_out_together_and_none_is_lost() -> None:
    written: list[bytes] = []
    log = RequestLog(written.append)
    for number in range(300):
        log.settled(settled(total_s=float(number)))
    assert len(written) < 10, "one write for each line is what this avoids"
    log.flush()
    log.flush()
    lines = [msgspec.json.decode(line) for line in b"".join(written).splitlines()]
    assert [line["total_s"] for line in lines] == list(range(300))
    assert {line["event"] for line in lines} == {"request"} and {line["level"] for line in lines} == {"info"}


async def test_a_quiet_server_writes_each_line_at_once() -> None:
    written: list[bytes] = []
    RequestLog(written.append).settled(settled())
    assert len(written) == 1 and written[0].endswith(b"}\n")
