"""A streamed message as the unstreamed one; the official SDK's own accumulation is the judge."""

import json
import tracemalloc

import anthropic
import httpx2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.wire.anthropic_assembly import Assembler
from appliance.wire.dialect import NotAssemblable
from tests.wire.streams import golden, names


def assembled(data: bytes) -> object:
    assembler = Assembler()
    assembler.feed(data)
    return msgspec.json.decode(assembler.result())


def by_sdk(data: bytes) -> anthropic.types.Message:
    """What the SDK makes of the same stream."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=data)

    client = anthropic.Anthropic(api_key="x", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))
    with client, client.messages.stream(model="m", max_tokens=1, messages=[]) as stream:
        return stream.get_final_message()


@pytest.mark.parametrize("name", [name for name in names("messages", "anthropic") if name != "messages_error"])
def test_it_is_what_the_sdk_puts_together(name: str) -> None:
    data = golden(name, "anthropic")
    got = msgspec.convert(assembled(data), dict[str, object])
    want = by_sdk(data).to_dict()
    want.pop("parsed_output", None)
    got.pop("context_management", None)
    want.pop("context_management", None)
    for block in want["content"]:  # type: ignore[attr-defined]
        block.pop("parsed_output", None)
    assert {name: value for name, value in got.items() if value is not None} == {
        name: value for name, value in want.items() if value is not None
    }


def test_a_field_of_the_last_delta_becomes_the_messages() -> None:
    assert assembled(golden("messages_tools", "anthropic"))["context_management"] == {"applied_edits": []}  # type: ignore[index]


def cut_off(partial_json: str, stop_reason: str = "max_tokens") -> bytes:
    """A stream whose last block is a call with so much of its input."""
    data = golden("messages_tools", "anthropic").replace(
        b'"stop_reason":"tool_use"', b'"stop_reason":"%s"' % stop_reason.encode()
    )
    first, second = b'{\\"city\\": \\"Li', b'ma\\"}'
    assert data.count(first) == data.count(second) == 1
    return data.replace(first, msgspec.json.encode(partial_json)[1:-1]).replace(second, b"")


@pytest.mark.parametrize(
    ("partial_json", "kept"),
    [
        ('{"path": "a.txt", "content": "long te', {"path": "a.txt"}),
        ('{"path": "a.txt"', {"path": "a.txt"}),
        ('{"path": "a, \\"b\\" {", "content": "x, {\\', {"path": 'a, "b" {'}),
        ('{"path": "a.txt", "lines": ["one", "tw', {"path": "a.txt"}),
        ('{"path": "a.txt", "lines": ["one"], "mo', {"path": "a.txt", "lines": ["one"]}),
        ('{"path": {"a": [1, {"b": 2}]}, ', {"path": {"a": [1, {"b": 2}]}}),
        ('{"deep": true', {"deep": True}),
        ('{"count": 5, "deep": tru', {"count": 5}),
        ('{"count": 5, "size": 12', {"count": 5}),
        ('{"count": 12', {}),
        ('{"path": "a', {}),
        ("{", {}),
        ("[1, 2", {}),
        ("[" * 100_000, {}),
        ("", {}),
    ],
)
def test_an_answer_that_a_limit_cut_within_a_call_is_whole(partial_json: str, kept: dict[str, object]) -> None:
    message = msgspec.convert(assembled(cut_off(partial_json)), dict)
    assert message["stop_reason"] == "max_tokens"
    assert message["usage"]["output_tokens"] == 89
    assert [block.get("input") for block in message["content"]] == [None, None, kept, {}]
    anthropic.types.Message.model_validate(message)


def test_a_long_cut_input_takes_little_memory() -> None:
    data = cut_off('{"path": "a.txt", "content": "' + r"one\n\"" * 150_000)
    tracemalloc.start()
    try:
        message = msgspec.convert(assembled(data), dict)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message["content"][2]["input"] == {"path": "a.txt"}
    assert peak_bytes < 12 * len(data)


@pytest.mark.parametrize("stop_reason", ["tool_use", "end_turn"])
def test_a_call_that_is_to_be_made_has_all_of_its_input(stop_reason: str) -> None:
    with pytest.raises(NotAssemblable):
        assembled(cut_off('{"path": "a.txt", "content": "lo', stop_reason))


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists), max_size=4
    )
)
def test_what_stays_of_a_cut_input_is_part_of_it(told: dict[str, object]) -> None:
    whole, before = json.dumps(told), 0
    for end in range(1, len(whole), len(whole) // 20 + 1):
        kept = msgspec.convert(assembled(cut_off(whole[:end])), dict)["content"][2]["input"]
        assert list(kept.items()) == list(told.items())[: len(kept)]
        assert len(kept) >= before, "and more with every parameter"
        before = len(kept)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"event: content_block_delta\ndata: {}\n\n",
        b'data: {"type":"message_start"}\n\n',
        golden("messages_tools", "anthropic").replace(b'ma\\"}', b"ma"),
        golden("messages_text", "anthropic").replace(b'"text_delta"', b'"new_delta"'),
        golden("messages_text", "anthropic").replace(b'"content_block":{', b'"content_block":"text","x":{'),
        golden("messages_text", "anthropic").replace(b'"text_delta","text":"', b'"text_delta","text":null,"x":"'),
        golden("messages_text", "anthropic").replace(b'"index":0', b'"index":"0"'),
    ],
)
def test_what_cannot_be_assembled(data: bytes) -> None:
    with pytest.raises(NotAssemblable):
        assembled(data)
