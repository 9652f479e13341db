"""What Startline stamped for one provider never reaches another as it is; its own comes home."""

from typing import Any

import msgspec
import pytest

from appliance.domain.chat import Seal
from appliance.wire.translation.foreign_seals import is_stamped, without_stamps
from appliance.wire.translation.gemini_seals import UNSIGNED, signature_of
from appliance.wire.translation.seals import stamp

FOREIGN = Seal("xai", "sealed", "encrypted", "rs_1")
OWN: dict[str, Seal] = {
    "anthropic": Seal("anthropic", "c2ln", "signature"),
    "openai": Seal("openai", "enc", "encrypted", "rs_2"),
}


def rewritten(body: dict[str, Any], dialect: str, home: str) -> Any:
    data = msgspec.json.encode(body)
    assert is_stamped(data, dialect)
    told = without_stamps(data, dialect, home)
    assert not is_stamped(told, dialect)
    return msgspec.json.decode(told)


def stamped(seal: Seal) -> str:
    return stamp(seal, "nobody", ())


def test_anthropic() -> None:
    asked = {"role": "user", "content": "hi"}
    text, ours = {"type": "text", "text": "words"}, {"type": "thinking", "thinking": "a", "signature": "c2ln"}
    turns = [
        asked,
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": stamped(FOREIGN)}, text]},
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": stamped(FOREIGN)}]},
        {"role": "assistant", "content": [ours | {"signature": stamped(OWN["anthropic"])}, ours, text]},
    ]
    body = {"model": "m", "max_tokens": 1, "messages": turns, "stream": True}
    told = rewritten(body, "anthropic_messages", "anthropic")
    assert told["messages"] == [
        asked,
        {"role": "assistant", "content": [text]},
        {"role": "assistant", "content": [ours, ours, text]},
    ]
    assert list(told) == list(body)


def test_responses() -> None:
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    item = {"type": "reasoning", "id": "rs_here", "summary": []}
    theirs = item | {"encrypted_content": stamped(FOREIGN)}
    ours = item | {"encrypted_content": stamped(OWN["openai"])}
    told = rewritten({"input": [said, theirs, ours], "model": "m"}, "openai_responses", "openai")
    assert told["input"] == [said, item | {"encrypted_content": "enc", "id": "rs_2"}]


@pytest.mark.parametrize("name", ["thoughtSignature", "thought_signature"])
def test_gemini(name: str) -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    mark = signature_of(FOREIGN)
    parts = [{"text": "a", "thought": True, name: mark}, {"text": "b", name: mark}, call | {name: mark}, {name: mark}]
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": parts}]}
    told = rewritten(body, "gemini_generate", "gemini")
    assert told["contents"][1]["parts"][:2] == [{"text": "b"}, call | {name: UNSIGNED}]


def test_interactions() -> None:
    steps = [
        {"type": "user_input", "content": [{"type": "text", "text": "hi"}]},
        {"type": "thought", "signature": signature_of(FOREIGN, "signature")},
    ]
    assert rewritten({"input": steps}, "gemini_interactions", "gemini")["input"] == steps[:1]


def test_what_is_not_json_stays() -> None:
    body = b'{"messages": [' + msgspec.json.encode(stamped(FOREIGN))
    assert without_stamps(body, "anthropic_messages", "anthropic") == body


def test_a_provider_s_own_signature_is_no_stamp() -> None:
    body = msgspec.json.encode({"messages": [{"type": "thinking", "signature": "EqoBCkgIAR"}]})
    assert not is_stamped(body, "anthropic_messages")
    assert not is_stamped(body, "gemini_generate")
