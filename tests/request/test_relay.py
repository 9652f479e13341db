"""The winner's answer on its way to the client: whole, as a stream, or assembled from one."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
import trio
from trio.testing import MockClock

from appliance.net.dial import Dialer
from appliance.net.resolver import Resolver
from appliance.request.endpoint import CHAT, RESPONSES, Endpoint
from appliance.simulator.server import Simulator
from appliance.simulator.world import Behaviour, Model, World
from tests.request.stage import DONE, END, MODEL, SILENCE, Stage, chunk, delta, head, role, starts, usage

Make = Callable[..., Stage]
FLEX = Behaviour(start=3.0, output_tokens=12, reasoning_tokens=4, cached_share=0.5)
SLOW = Behaviour(start=60.0)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def patient() -> MockClock:
    """Bytes over TCP take a moment of real time: wait for it before the clock jumps."""
    return MockClock(autojump_threshold=0.02)


async def simulated(s: Stage, nursery: trio.Nursery, flex: Behaviour, default: Behaviour) -> Simulator:
    """Put the simulator in the provider's place, over real connections."""
    simulator = Simulator(World(models={"*": Model(tiers={"flex": flex, "default": default})}), seed=7)
    base_url = await nursery.start(simulator.serve)
    (provider,) = s.directory._providers["org_test"]
    s.directory._providers["org_test"] = (msgspec.structs.replace(provider, base_url=base_url),)
    s.directory._secrets[provider.provider_id] = "sk-sim-test"

    async def noted(host: str, port: int, tls: Any) -> Any:
        stream = await Dialer(Resolver(0.0))(host, port, tls)
        s.provider.dialled.append(stream)
        return stream

    s.pool._dial = noted
    return simulator


ASKED: list[tuple[Endpoint, dict[str, Any]]] = [
    (CHAT, {}),
    (CHAT, {"n": 2}),
    (CHAT, {"tools": [TOOL], "tool_choice": "required"}),
    (CHAT, {"logprobs": True, "top_logprobs": 2}),
    (RESPONSES, {"input": "hi"}),
    (RESPONSES, {"input": "hi", "reasoning": {"summary": "auto"}}),
]


@pytest.mark.parametrize(("endpoint", "fields"), ASKED, ids=[f"{one.name} {sorted(two)}" for one, two in ASKED])
async def test_a_raced_answer_is_the_same_value_as_the_unstreamed_one(
    patient: MockClock, stage: Make, nursery: trio.Nursery, endpoint: Endpoint, fields: dict[str, Any]
) -> None:
    s = stage()
    simulator = await simulated(s, nursery, FLEX, Behaviour(start=60.0))
    call, client = s.prepare(fields | {"start_within": "10s"}, endpoint=endpoint)
    sent = call.body
    await s.run(call)
    s.check()
    assert client.headers["x-startline-reason"] == "flex_won"
    direct = msgspec.json.decode(sent) | {"service_tier": "flex"}
    del direct["start_within"]
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(
            simulator.base_url + endpoint.upstream.decode(),
            json=direct,
            headers={"authorization": "Bearer sk-sim-test"},
            timeout=None,
        )
    assert answer.status_code == 200
    assert client.json() == answer.json()
    assert (client.status, client.headers["content-type"]) == (200, "application/json")


async def test_the_simulator_sees_the_loser_leave(patient: MockClock, stage: Make, nursery: trio.Nursery) -> None:
    s = stage()
    simulator = await simulated(s, nursery, Behaviour(never_rate=1.0), Behaviour(start=1.0, tokens_per_s=0))
    call, client = s.prepare({"stream": True, "start_within": "10s"})
    await s.run(call)
    s.check()
    assert client.headers["x-startline-reason"] == "flex_deadline"
    outcomes = {entry.tier_asked: entry.outcome for entry in simulator.journal}
    assert outcomes == {"flex": "client_gone", "default": "completed"}


async def test_a_stream_passes_byte_for_byte(clock: MockClock, stage: Make) -> None:
    sent = role("default"), b": note of the provider\n\n", delta("default", {"content": "x"}), DONE
    s = stage(default=[(0.0, head()), *((1.0 + at, chunk(data)) for at, data in enumerate(sent)), (4.0, END)])
    client = await s.call(stream=True, stream_options={"include_usage": True})
    assert client.body == b"".join(sent)
    assert [when for when, _ in client.pieces] == [3.0, 4.0]


async def test_events_cut_anywhere_come_out_whole(clock: MockClock, stage: Make) -> None:
    events = role("default") + delta("default", {"content": "Grüße"}) + usage("default") + DONE
    pieces: Iterator[tuple[float, bytes]] = ((at / 64, chunk(events[at : at + 9])) for at in range(0, len(events), 9))
    s = stage(default=[(0.0, head()), *pieces, (1000.0, END)])
    client = await s.call(stream=True, stream_options={"include_usage": True})
    assert client.body == events
    assert all(data.endswith(b"\n\n") for _, data in client.pieces)
    assert s.provider.dialled[0].closed, "the end of its body did not come in time"


async def test_an_assembled_answer_over_its_bound_is_refused_and_its_call_closed(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex", words=("x" * 5000,)), default=SILENCE, settings={"max_answer_bytes": 4096})
    client = await s.call(start_within="10s")
    assert (client.status, client.error["code"]) == (502, "provider_garbled")
    assert s.attempts[0].outcome == "failed"


async def test_what_cannot_be_assembled_after_all_is_refused(clock: MockClock, stage: Make) -> None:
    spoken = delta("flex", {"audio": {"id": "a", "data": "AAAA"}})
    s = stage(flex=[(0.0, head() + chunk(spoken) + chunk(delta("flex", {}, "stop")) + chunk(DONE) + END)])
    client = await s.call(start_within="10s")
    assert (client.status, client.error["code"], s.attempts[0].outcome) == (502, "provider_garbled", "failed")


async def test_an_assembled_answer_that_breaks_is_a_status_not_half_an_answer(clock: MockClock, stage: Make) -> None:
    s = stage(flex=[*starts(1.0, "flex")[:2], (2.0, "close")])
    client = await s.call(start_within="10s")
    assert (client.status, client.began_s, client.error["code"]) == (502, 2.0, "provider_cut_off")
    assert s.story() == [("flex", 0.0, "failed", 2.0)]


async def test_the_facts_of_a_model(clock: MockClock, stage: Make) -> None:
    s = stage(flex=starts(1.0, "flex"))
    client = await s.call(start_within="10s")
    assert client.json()["choices"][0]["message"]["content"] == "Hello"
    assert (client.headers["x-startline-model"], client.headers["x-startline-cost-usd"]) == (MODEL, "0.0002")


@pytest.mark.parametrize("behaviour", [Behaviour(cut_rate=1.0), Behaviour(error_rate=1.0, error_after_tokens=3)])
async def test_a_broken_stream_of_responses_ends_in_an_error_event_in_its_order(
    patient: MockClock, stage: Make, nursery: trio.Nursery, behaviour: Behaviour
) -> None:
    s = stage()
    await simulated(s, nursery, behaviour, SLOW)
    call, client = s.prepare({"input": "hi", "stream": True, "start_within": "10s"}, endpoint=RESPONSES)
    await s.run(call)
    s.check()
    events = [
        msgspec.json.decode(line.removeprefix(b"data: "))
        for line in client.body.split(b"\n")
        if line.startswith(b"data: ")
    ]
    numbers = [one["sequence_number"] for one in events if "sequence_number" in one]
    assert numbers == sorted(set(numbers)) and numbers[0] == 0, "they count upwards"
    assert events[-1]["type"] in ("error", "response.failed")
    assert not any(one["type"] == "response.completed" for one in events)
    assert (s.request.status, s.attempts[0].outcome) == (200, "failed")
