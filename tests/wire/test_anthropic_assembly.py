"""A streamed message as the unstreamed one; the official SDK's own accumulation is the judge."""

import anthropic
import httpx2
import msgspec
import pytest

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
