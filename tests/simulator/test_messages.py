"""Anthropic's Messages: shapes by the SDK's types, the stream and the body as one answer, and the SDK as client."""

import base64
import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import anthropic
import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from appliance.simulator import messages as dialect
from appliance.simulator.completion import complete
from appliance.simulator.faults import Rejected
from appliance.simulator.override import Override
from appliance.simulator.world import Behaviour, Model
from tests.simulator.odd_json import odd_bodies
from tests.simulator.running import Running, Start, world_of
from tests.simulator.sdk_shapes import frames, message, message_event

T = TypeVar("T")
TOOL: Any = {"name": "look", "input_schema": {
    "type": "object", "properties": {"place": {"type": "string"}, "days": {"type": "integer"}}}}  # fmt: skip
SCHEMA: Any = {"type": "json_schema", "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}}}
HELLO: list[Any] = [{"role": "user", "content": "hello"}]
THINK: Any = {"type": "enabled", "budget_tokens": 1024}
PIXEL = base64.b64encode(b"\x89PNG..").decode()
QUICK = Behaviour(start=0, admission_s=0, tokens_per_s=0, refusal_after_s=0)


def play(behaviour: Behaviour | None = None, tier: str = "default", **fields: Any) -> tuple[bytes, list[Any]]:
    """Both forms of one answer: the body, and the events of the stream."""
    behaviour = behaviour or Behaviour()
    body = {"model": "m", "max_tokens": 4096, "messages": HELLO} | fields
    both = []
    for streamed in (False, True):
        asked = dialect.read(body | ({"stream": True} if streamed else {}))
        both.append((asked, complete(asked, behaviour, Override(), seed=1, tier=tier, ordinal=0)))
    whole = msgspec.json.encode(dialect.body(*both[0], behaviour, tier)[0])
    steps = dialect.script(*both[1], behaviour, tier).steps
    events = []
    for name, data in frames(b"".join(step.data for step in steps)):
        assert name == msgspec.json.decode(data)["type"]
        if name != "ping":
            message_event(data)
        events.append(msgspec.json.decode(data))
    return whole, events


def assembled(events: list[Any]) -> dict[str, Any]:
    """The unstreamed body that a stream amounts to, put together by the rules of the API."""
    answer: dict[str, Any] = {}
    fragments: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                answer = event["message"]
            case "content_block_start":
                assert event["index"] == len(answer["content"])
                answer["content"].append(event["content_block"])
            case "content_block_delta":
                block = answer["content"][event["index"]]
                match event["delta"]["type"]:
                    case "input_json_delta":
                        at = event["index"]
                        fragments[at] = fragments.get(at, "") + event["delta"]["partial_json"]
                        block["input"] = msgspec.json.decode(fragments[at]) if len(fragments[at]) > 1 else {}
                    case "signature_delta":
                        block["signature"] = event["delta"]["signature"]
                    case kind:
                        field = kind.removesuffix("_delta")
                        block[field] += event["delta"][field]
            case "message_delta":
                answer |= event["delta"]
                answer["usage"] |= event["usage"]
    return answer


def loosely(events: list[Any]) -> dict[str, Any]:
    """As `assembled`, where fragments of arguments are not JSON until the last has come."""
    merged: list[Any] = []
    for event in events:
        delta = event.get("delta", {})
        last = merged[-1].get("delta", {}) if merged else {}
        if delta.get("type") == last.get("type") == "input_json_delta":
            last["partial_json"] += delta["partial_json"]
        else:
            merged.append(event)
    return assembled(merged)


@pytest.mark.parametrize(
    ("behaviour", "fields"),
    [
        (Behaviour(), {}),
        (Behaviour(), {"max_tokens": 3}),
        (Behaviour(tool_calls=3), {"tools": [TOOL]}),
        (Behaviour(tool_calls=2, preface="I shall look."), {"tools": [TOOL]}),
        (
            Behaviour(tool_calls=3),
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        (Behaviour(tool_calls=1), {"tools": [TOOL], "thinking": THINK}),
        (Behaviour(reasoning_tokens=9, redacted=True), {"thinking": THINK}),
        (Behaviour(reasoning_tokens=9), {"thinking": THINK | {"display": "omitted"}}),
        (Behaviour(reasoning_tokens=9), {}),
        (Behaviour(), {"output_config": {"format": SCHEMA}}),
        (Behaviour(decline_rate=1), {}),
        (Behaviour(finish="pause_turn"), {}),
        (Behaviour(cached_share=0.5, cache_write_share=0.25), {"speed": "fast"}),
    ],
)
def test_stream_and_body_are_one_answer_in_the_sdk_s_shapes(behaviour: Behaviour, fields: dict[str, Any]) -> None:
    whole, events = play(behaviour, **fields)
    message(whole)
    assert loosely(events) == msgspec.json.decode(whole)
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    assert kinds.count("content_block_start") == kinds.count("content_block_stop")
    assert "ping" in kinds


@pytest.mark.parametrize(
    ("behaviour", "fields", "reason"),
    [
        (Behaviour(), {}, "end_turn"),
        (Behaviour(), {"max_tokens": 2}, "max_tokens"),
        (Behaviour(text="one two three"), {"stop_sequences": ["three", "two"]}, "stop_sequence"),
        (Behaviour(tool_calls=1), {"tools": [TOOL]}, "tool_use"),
        (Behaviour(), {"tools": [TOOL], "tool_choice": {"type": "any"}}, "tool_use"),
        (Behaviour(decline_rate=1), {}, "refusal"),
        (Behaviour(finish="pause_turn"), {}, "pause_turn"),
        (Behaviour(finish="model_context_window_exceeded"), {}, "model_context_window_exceeded"),
    ],
)
def test_every_reason_to_stop(behaviour: Behaviour, fields: dict[str, Any], reason: str) -> None:
    answer = message(play(behaviour, **fields)[0])
    assert answer.stop_reason == reason
    assert answer.stop_sequence == ("two" if reason == "stop_sequence" else None)
    assert (answer.stop_details is not None) == (reason == "refusal")


def test_cached_and_written_tokens_are_not_input_tokens() -> None:
    plain = message(play()[0]).usage
    usage = message(play(Behaviour(cached_share=0.5, cache_write_share=0.5))[0]).usage
    parts = (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
    assert sum(part or 0 for part in parts) == plain.input_tokens
    assert usage.cache_read_input_tokens


def test_thinking_is_counted_and_only_where_it_is_asked_for() -> None:
    usage = message(play(Behaviour(reasoning_tokens=9), thinking=THINK)[0]).usage
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.thinking_tokens == 9
    assert usage.output_tokens == 9 + 24
    assert message(play(Behaviour(reasoning_tokens=9))[0]).usage.output_tokens == 24


@given(st.text(min_size=1, max_size=100))
def test_any_text_survives_streaming(text: str) -> None:
    whole, events = play(Behaviour(text=text))
    block = message(whole).content[0]
    assert block.type == "text"
    assert block.text == text == loosely(events)["content"][0]["text"]


@given(
    odd_bodies("messages", "system", "tools", "tool_choice", "thinking", "output_config", "stop_sequences", "metadata")
)
def test_odd_requests_are_answered_or_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(Rejected):
        whole, _ = play(Behaviour(tool_calls=2), **fields)
        assert msgspec.json.decode(whole)["model"] == "m"


def test_an_image_counts_as_tokens_and_not_as_its_base64() -> None:
    def counted(data: str) -> int:
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
        told, _ = dialect.count({"model": "m", "messages": [{"role": "user", "content": [image]}]}, Model(), 0)
        return int(told["input_tokens"])

    assert counted(PIXEL) == counted(PIXEL * 1000) > 200


# The official SDK as client.


async def with_sdk(running: Running, use: Callable[[anthropic.Anthropic], T]) -> T:
    """Use the official SDK's client in a thread."""

    def run() -> T:
        base_url = running.simulator.base_url.removesuffix("/v1")
        with anthropic.Anthropic(base_url=base_url, api_key="sk-sim-x", max_retries=0) as client:
            return use(client)

    return await trio.to_thread.run_sync(run)


async def test_plain_and_stream(start: Start) -> None:
    running = await start()

    def use(client: anthropic.Anthropic) -> tuple[Any, Any]:
        whole = client.messages.create(
            model="m", max_tokens=100, messages=HELLO, system="be brief", service_tier="standard_only"
        )
        with client.messages.stream(
            model="m", max_tokens=100, messages=HELLO, system="be brief", service_tier="standard_only"
        ) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
            assert stream.request_id == whole._request_id
        assert text == final.content[0].text  # type: ignore[union-attr]
        return whole.to_dict(), final.to_dict()

    whole, streamed = await with_sdk(running, use)
    streamed["content"][0].pop("parsed_output", None)
    assert whole == streamed
    entries = list(running.journal)
    assert [(entry.family, entry.tier_asked, entry.tier_served) for entry in entries] == [
        ("anthropic", "standard_only", "default")
    ] * 2
    assert whole["usage"]["service_tier"] == "standard"
    assert [entry.forbidden for entry in entries] == [[], []]


async def test_auto_is_priority_where_there_is_a_commitment(start: Start) -> None:
    running = await start()

    def use(client: anthropic.Anthropic) -> list[str | None]:
        tiers: list[Any] = ["auto", anthropic.omit, "standard_only"]
        return [
            client.messages.create(model="m", max_tokens=9, messages=HELLO, service_tier=tier).usage.service_tier
            for tier in tiers
        ]

    assert await with_sdk(running, use) == ["priority", "priority", "standard"]
    running = await start(world_of(default=QUICK))
    assert await with_sdk(running, use) == ["standard"] * 3


async def test_thinking_and_parallel_tools_over_several_turns(start: Start) -> None:
    running = await start(world_of(default=msgspec.structs.replace(QUICK, tool_calls=2, redacted=True)))

    def use(client: anthropic.Anthropic) -> list[str | None]:
        turns: list[Any] = [{"role": "user", "content": "how is the weather?"}]
        reasons: list[str | None] = []
        for _ in range(2):
            for _ in range(2):
                with client.messages.stream(
                    model="m", max_tokens=4096, messages=turns, tools=[TOOL], thinking=THINK
                ) as stream:
                    answer = stream.get_final_message()
                reasons.append(answer.stop_reason)
                kinds = [block.type for block in answer.content]
                assert kinds[:2] == ["thinking", "redacted_thinking"]
                turns.append({"role": "assistant", "content": answer.content})
                calls = [block for block in answer.content if block.type == "tool_use"]
                assert all(set(call.input) == {"place", "days"} for call in calls)
                results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
                turns.append({"role": "user", "content": results or "and tomorrow?"})
        return reasons

    assert await with_sdk(running, use) == ["tool_use", "end_turn", "tool_use", "end_turn"]


async def test_images_documents_betas_and_structured_output(start: Start) -> None:
    running = await start()
    content: list[Any] = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PIXEL}},
        {"type": "text", "text": "what is it?", "cache_control": {"type": "ephemeral"}},
    ]

    def use(client: anthropic.Anthropic) -> Any:
        return client.beta.messages.create(
            model="m", max_tokens=100, messages=[{"role": "user", "content": content}], betas=["one-1", "two-2"],
            output_config={"format": SCHEMA},
        ).to_dict()  # fmt: skip

    told = await with_sdk(running, use)
    assert isinstance(msgspec.json.decode(told["content"][0]["text"])["ok"], bool)
    assert (running.journal[0].betas, running.journal[0].media) == (["one-1", "two-2"], 3)


async def test_tokens_are_counted_as_the_answer_bills_them(start: Start) -> None:
    running = await start()

    def use(client: anthropic.Anthropic) -> tuple[int, int]:
        counted = client.messages.count_tokens(model="m", messages=HELLO, system="be brief", tools=[TOOL])
        billed = client.messages.create(model="m", max_tokens=9, messages=HELLO, system="be brief", tools=[TOOL])
        return counted.input_tokens, billed.usage.input_tokens

    counted, billed = await with_sdk(running, use)
    assert counted == billed > 5


@pytest.mark.parametrize("streamed", [False, True])
async def test_errors_come_as_the_sdk_s_classes(start: Start, streamed: bool) -> None:
    running = await start(world_of(default=QUICK))
    kinds = {
        "rate_limit_exceeded": anthropic.RateLimitError,
        "overloaded": anthropic.APIStatusError,
        "server_error": anthropic.InternalServerError,
        "forbidden": anthropic.PermissionDeniedError,
        "invalid_request": anthropic.BadRequestError,
        "model_not_found": anthropic.NotFoundError,
        "too_large": anthropic.APIStatusError,
    }

    def use(client: anthropic.Anthropic) -> dict[str, anthropic.APIStatusError]:
        found = {}
        for name, kind in kinds.items():
            model = f"m@sim:refuse={name},retry_after_s=7"
            with pytest.raises(kind) as raised:
                client.messages.create(model=model, max_tokens=9, messages=HELLO, stream=streamed)
            found[name] = raised.value
        return found

    found = await with_sdk(running, use)
    assert found["overloaded"].status_code == 529
    assert found["rate_limit_exceeded"].response.headers["retry-after"] == "7"
    for error in found.values():
        assert isinstance(error.body, dict)
        assert error.body["type"] == "error"
        assert error.body["request_id"] == error.request_id


async def test_a_failure_inside_a_stream_is_an_error_event(start: Start) -> None:
    running = await start()

    def use(client: anthropic.Anthropic) -> tuple[list[str], Any]:
        kinds: list[str] = []
        stream = client.messages.create(model="m@sim:error=2", max_tokens=99, messages=HELLO, stream=True)
        with pytest.raises(anthropic.APIStatusError) as raised:
            kinds.extend(event.type for event in stream)
        return kinds, raised.value.body

    kinds, body = await with_sdk(running, use)
    assert kinds == ["message_start", "content_block_start", "content_block_delta", "content_block_delta"]
    assert body["error"]["type"] == "overloaded_error"
    assert running.journal[0].outcome == "failed"


async def test_a_closed_stream_is_noticed(start: Start) -> None:
    running = await start(world_of(default=Behaviour(start=0, admission_s=0, tokens_per_s=100, output_tokens=10_000)))

    def use(client: anthropic.Anthropic) -> None:
        stream = client.messages.create(model="m", max_tokens=20_000, messages=HELLO, stream=True)
        assert next(iter(stream)).type == "message_start"
        stream.close()

    await with_sdk(running, use)
    with trio.fail_after(5):
        await running.journal.wait(lambda journal: journal[0].outcome == "client_gone")
    assert running.journal[0].gone_s is not None


async def test_the_start_of_a_message_comes_before_its_first_output(start: Start) -> None:
    running = await start(world_of(default=Behaviour(start=5, tokens_per_s=0)), time_scale=0.01)

    def use(client: anthropic.Anthropic) -> None:
        list(client.messages.create(model="m", max_tokens=9, messages=HELLO, stream=True))

    await with_sdk(running, use)
    entry = running.journal[0]
    assert entry.head_s is not None
    assert entry.started_s is not None
    assert entry.started_s - entry.head_s > 0.03
