from typing import Any

import msgspec
import pytest

from appliance.wire.dialect import NotAssemblable
from appliance.wire.gemini_assembly import Assembler
from tests.wire.streams import golden


def assembled(data: bytes) -> Any:
    assembler = Assembler()
    assembler.feed(data)
    return msgspec.json.decode(assembler.result())


def test_text_that_goes_on_is_joined() -> None:
    got = assembled(golden("generate_text", "gemini"))
    (candidate,) = got["candidates"]
    assert candidate["content"] == {"parts": [{"text": "Grüße, world"}], "role": "model"}
    assert (candidate["finishReason"], got["responseId"]) == ("STOP", "r_1")
    assert got["usageMetadata"]["candidatesTokenCount"] == 5


def test_thoughts_text_and_calls_stay_apart() -> None:
    got = assembled(golden("generate_thoughts", "gemini"))
    assert got["candidates"][0]["content"]["parts"] == [
        {"text": "Let me see.", "thought": True},
        {"text": "I look."},
        {"functionCall": {"name": "weather", "args": {"city": "Lima"}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "now", "args": {}}},
    ]
    assert got["usageMetadata"]["totalTokenCount"] == 64


def test_what_has_no_candidate() -> None:
    got = assembled(golden("generate_blocked", "gemini"))
    assert "candidates" not in got
    assert got["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}


def test_several_candidates_and_a_signature() -> None:
    def chunk(index: int, **part: Any) -> bytes:
        candidate = {"index": index, "content": {"parts": [part]}}
        return b"data: " + msgspec.json.encode({"candidates": [candidate]}) + b"\n\n"

    data = chunk(1, text="b") + chunk(0, text="a") + chunk(0, text="c", thoughtSignature="s") + chunk(0, text="d")
    parts = [one["content"]["parts"] for one in assembled(data)["candidates"]]
    assert parts == [[{"text": "ac", "thoughtSignature": "s"}, {"text": "d"}], [{"text": "b"}]]


@pytest.mark.parametrize(
    "data", [b"", b"data: 3\n\n", b'data: {"candidates":[{"content":{"parts":[{"text":3}]}}]}\n\n']
)
def test_what_cannot_be_assembled(data: bytes) -> None:
    with pytest.raises(NotAssemblable):
        assembled(data)
