"""Turn after turn: what a provider said to a client of another dialect comes back to it as it was.

A client here is its official SDK: it reads our stream and sends the message back as it has it. Row by row the faults
that users of gateways report: thinking blocks and signatures lost between turns, tool calls reordered, ids changed.
"""

from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import msgspec
import openai
import pytest

from appliance.domain.chat import Conversation, Reasoning, Seal, Text, ToolCall, ToolResult, Turn
from appliance.domain.stream import Answer, Event, Failed, Stopped, unfold
from appliance.domain.tokens import Tokens
from appliance.wire.translation.codec import Target
from appliance.wire.translation.codecs import CODECS
from tests.wire.translation import pairs, sdk_anthropic, sdk_openai
from tests.wire.translation.golden import GOLDEN

FAMILIES = {"openai_chat": ("openai", "*chat_*"), "anthropic_messages": ("anthropic", "*")}


def chat_turn(stream: bytes) -> bytes:
    """The body of the next request, after the SDK has read the stream and been given a tool's result."""
    sent: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.content)
        return httpx2.Response(200, json={"id": "x", "choices": [], "created": 0, "model": "m", "object": "o"})

    message = sdk_openai.chat_stream(stream).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "done"} for call in message.tool_calls]
    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = openai.OpenAI(api_key="k", base_url="http://x", http_client=http)
        asking: Any = [{"role": "user", "content": "x"}, message, *results]
        client.chat.completions.create(model="m", messages=asking)
    return sent[0]


def anthropic_turn(stream: bytes) -> bytes:
    """As `chat_turn`."""
    sent: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.content)
        return httpx2.Response(200, json={"id": "x", "type": "message", "content": [], "role": "assistant"})

    _, message = sdk_anthropic.stream(stream)
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "done"}
        for block in message.content
        if block.type == "tool_use"
    ]
    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://x", http_client=http)
        asking: Any = [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": results},
        ]
        client.messages.create(model="m", max_tokens=9, messages=asking)
    return sent[0]


CLIENTS: dict[Any, Callable[[bytes], bytes]] = {"openai_chat": chat_turn, "anthropic_messages": anthropic_turn}
ANSWERS = {
    "anthropic": (
        Reasoning("first thought", Seal("anthropic", "EqQB")),
        Reasoning("", Seal("anthropic", "EmwK", "redacted")),
        Reasoning("second thought", Seal("anthropic", "EqQC")),
    ),
    "openai": (Reasoning("in short", Seal("openai", "gAAA", "encrypted", "rs_1")),),
    "gemini": (Reasoning("", Seal("gemini", "CqIB", "part", "call_1")),),
}


@pytest.mark.parametrize("home", ANSWERS)
@pytest.mark.parametrize("name", CLIENTS)
def test_sealed_reasoning_and_calls_come_back_as_they_were(name: Any, home: str) -> None:
    thought: tuple[Reasoning, ...] = ANSWERS[home]
    calls = (ToolCall("call_1", "f", '{"z":1,"a":[2]}'), ToolCall("call_2", "g", "{}"))
    parts: tuple[Any, ...] = (
        (Text("I look."), *thought, *calls) if home == "gemini" else (*thought, Text("I look."), *calls)
    )
    answer = Answer(id="a", model="m", parts=parts, stop=Stopped("tool_calls"), usage=Tokens(1, 1))
    codec = CODECS[name]
    asked = codec.read_request(CLIENTS[name](pairs.write_stream(codec, unfold(answer))))
    assert asked.turns == (
        Turn("user", (Text("x"),)),
        Turn("assistant", parts),
        Turn("tool", tuple(ToolResult(call.id, (Text("done"),)) for call in calls)),
    )
    for target in CODECS.values():
        body = target.write_request(asked, Target(model="m", home="somebody else", stream=False)).body
        assert not any(block.seal.data.encode() in body for block in thought if block.seal is not None)


@pytest.mark.parametrize("name", CLIENTS)
def test_anthropics_blocks_reach_anthropic_again_byte_for_byte(name: Any) -> None:
    parts: tuple[Any, ...] = (*ANSWERS["anthropic"], Text("I look."), ToolCall("toolu_1", "f", '{"z":1,"a":[2]}'))
    answer = Answer(id="a", model="m", parts=parts, stop=Stopped("tool_calls"))
    codec, anthropics = CODECS[name], CODECS["anthropic_messages"]
    asked = codec.read_request(CLIENTS[name](pairs.write_stream(codec, unfold(answer))))
    body = msgspec.json.decode(anthropics.write_request(asked, pairs.target(anthropics)).body)
    said = msgspec.json.decode(anthropics.write_answer(answer, pairs.REPLY))["content"]
    assert body["messages"][1] == {"role": "assistant", "content": said}


def goldens() -> list[Any]:
    return [
        pytest.param(name, path, id=f"{name}-{path.stem}")
        for name, (folder, pattern) in FAMILIES.items()
        for path in sorted((GOLDEN / folder).glob(f"{pattern}.sse"))
        if path.stem != "events_chat_custom_call"  # the SDK's helper reads no custom calls
    ]


def from_golden(name: Any, path: Any) -> list[Event]:
    codec = CODECS[name]
    return pairs.read_stream(codec.answer_reader(pairs.source(codec)), [path.read_bytes()])


@pytest.mark.parametrize(("name", "path"), goldens())
def test_what_any_provider_streams_every_sdk_reads(name: Any, path: Any) -> None:
    events = from_golden(name, path)
    failed = isinstance(events[-1], Failed)
    for reading, error, client in (
        (sdk_openai.chat_stream, openai.APIError, "openai_chat"),
        (sdk_anthropic.stream, anthropic.APIError, "anthropic_messages"),
    ):
        data = pairs.write_stream(CODECS[client], events)  # type: ignore[index]
        if not failed:
            reading(data)
        elif b'"index":0' in data:
            with pytest.raises(error):
                reading(data)


def test_a_conversation_of_nothing_but_words_is_written_the_same_whatever_it_came_from() -> None:
    turns = (Turn("system", (Text("s"),)), Turn("user", (Text("x"),)), Turn("assistant", (Text("y"),)))
    plain = Conversation(dialect="openai_chat", model="m", turns=turns, max_output_tokens=9)
    for target in CODECS.values():
        bodies = {
            target.write_request(pairs.through(codec, plain), pairs.target(target)).body for codec in CODECS.values()
        }
        assert len(bodies) == 1
