"""What the client is told of its request, in headers, in a comment, and of faults."""

from collections.abc import Callable

from trio.testing import MockClock

from appliance.domain.errors import CallerFault, UpstreamFault
from appliance.request.facts import fault_headers
from tests.request.stage import SILENCE, Stage, starts

Make = Callable[..., Stage]


async def test_the_facts_of_a_race(clock: MockClock, stage: Make) -> None:
    s = stage(flex=SILENCE, default=starts(1.5, "default"))
    client = await s.race()
    facts = {name[12:]: value for name, value in client.headers.items() if name.startswith("x-startline-")}
    assert float(facts.pop("overhead-ms")) == 0
    plan = facts.pop("plan")
    assert plan.startswith("fixed launch 5 s of 10 s; ") and plan.endswith(" % for 99 %")
    assert facts == {
        "request-id": "req_0",
        "provider": "sim",
        "model": "gpt-5.4",
        "tier": "default",
        "reason": "flex_deadline",
        "race": "flex@0.000 lost@6.500, default@5.000 won@6.500; "
        "a dearer rung, launched because the deadline came near, started first",
        "retries": "0",
        "started-ms": "6500",
        "deadline-met": "true",
        "mode": "byok",
    }


async def test_a_single_tier_needs_no_explanation(clock: MockClock, stage: Make) -> None:
    client = await stage(default=starts(1.0, "default")).call(stream=True)
    assert client.headers["x-startline-race"] == "default@0.000 won@1.000"
    assert "x-startline-plan" not in client.headers


async def test_facts_that_come_as_a_comment_are_told_apart(clock: MockClock, stage: Make) -> None:
    client = await stage(flex=SILENCE, default=starts(60.0, "default")).race()
    comment = next(line for line in client.body.split(b"\n\n") if line.startswith(b": startline"))
    facts = dict(fact.split(b"=", 1) for fact in comment.removeprefix(b": startline ").split(b"; "))
    assert facts[b"plan"].endswith(b" for 99 %") and facts[b"race"].endswith(b", started first")
    assert facts[b"deadline-met"] == b"false"


async def test_the_callers_own_tier_cannot_break_a_line(clock: MockClock, stage: Make) -> None:
    s = stage()
    s.provider._scripts = {"x\r\nset-cookie: y": [starts(30.0, "z")]}
    client = await s.call(stream=True, service_tier="x\r\nset-cookie: y")
    comment = next(line for line in client.body.split(b"\n\n") if line.startswith(b": startline"))
    assert b"xset-cookie: y@0.000" in comment and b"\r" not in comment and b"\n" not in comment


def test_waits() -> None:
    seconds, millis, date = (b"retry-after", b"30"), (b"retry-after-ms", b"1500"), (b"retry-after", b"Fri, 1 Jan 2027")
    for told, wait_s, expected in (
        ((), None, []),
        ((), 2.2, [(b"retry-after", b"3")]),
        ((seconds,), 30.0, [seconds]),
        ((seconds,), 3.0, [(b"retry-after", b"3")]),
        ((millis, seconds), 1.5, [millis, seconds]),
        ((millis,), 0.2, [(b"retry-after", b"1")]),
        ((date,), 60.0, [(b"retry-after", b"60")]),
        ((date,), None, [date]),
    ):
        fault = UpstreamFault("provider_refused", retry_after_s=wait_s, headers=told)
        assert [one for one in fault_headers(fault) if one[0].startswith(b"retry")] == expected


def test_a_401_says_how_to_authenticate() -> None:
    assert (b"www-authenticate", b"Bearer") in fault_headers(CallerFault("invalid_api_key"))
    assert all(name != b"www-authenticate" for name, _ in fault_headers(CallerFault("bad_json")))
