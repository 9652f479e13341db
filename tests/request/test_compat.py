"""`compat`: another product's names beside our own, for clients that know only those."""

from collections.abc import Callable

from trio.testing import MockClock

from appliance.domain.errors import CallerFault
from appliance.request.compat import compat_headers, name_block
from appliance.settings import Settings
from tests.request.stage import MODEL, Stage, refuses, starts, whole

Make = Callable[..., Stage]
COMPAT = {"compat": "flexinference"}
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "choices": [],
    "usage": {"prompt_tokens": 100, "completion_tokens": 10},
}


def test_unset_nothing_is_added() -> None:
    fault = CallerFault("bad_json")
    name_block(Settings(), fault)
    assert fault.block_names == ("startline",)
    assert compat_headers(Settings(), [(b"x-startline-reason", b"flex_won")]) == []


async def test_the_headers_of_an_answer(clock: MockClock, stage: Make) -> None:
    s = stage(default=whole(0.0, COMPLETION), settings=COMPAT)
    headers = (await s.call()).headers
    theirs = {name: value for name, value in headers.items() if name.startswith("x-flexinference-")}
    nanos = s.request.cost_nanos
    assert nanos is not None
    assert theirs == {
        "x-flexinference-served-provider": "sim",
        "x-flexinference-routing-reason": "tier_direct",
        "x-flexinference-retries": "0",
        "x-flexinference-pricing": "byok",
        "x-flexinference-cost": str(round(nanos / 1000)),
    }
    assert headers["x-startline-reason"] == "tier_direct"


async def test_a_stream_and_its_errors(clock: MockClock, stage: Make) -> None:
    broken = [*starts(0.5, "default")[:2], (1.0, "close")]
    s = stage(default=[broken], settings=COMPAT)
    client = await s.call(stream=True)
    assert client.headers["x-flexinference-routing-reason"] == "tier_direct"
    assert client.error["flexinference"] == client.error["startline"]


async def test_a_refusal(clock: MockClock, stage: Make) -> None:
    s = stage(default=refuses(0.0, 500, "server_error"), settings=COMPAT)
    client = await s.call(model=MODEL, start_within="soon")
    assert client.error["flexinference"]["code"] == "invalid_start_within"
