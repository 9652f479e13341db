import msgspec
import pytest

from appliance.domain.chat import Citation, Opaque, Reasoning, Refusal, Seal, Text, TokenLogprob, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, Stopped
from appliance.domain.tokens import Tokens
from appliance.wire.translation.openai_responses import OPENAI_RESPONSES
from tests.wire.translation import pairs

SOURCE = pairs.source(OPENAI_RESPONSES)


def test_what_is_written_is_read() -> None:
    answer = Answer(
        id="a",
        model="m",
        created=7,
        parts=(
            Reasoning("t"),
            Text(
                "é", citations=(Citation("https://e.org", "E", None, 0, 1),), logprobs=(TokenLogprob("é", -1.0, (1,)),)
            ),
            Refusal("no"),
            Opaque("openai_responses", "web_search_call", msgspec.Raw(b'{"type":"web_search_call"}')),
            ToolCall("c", "f", "{}"),
            ToolCall("d", "g", "free", custom=True),
        ),
        stop=Stopped("tool_calls"),
        usage=Tokens(5, 4, 3, 1, 2, "known"),
        tier="flex",
    )
    read = OPENAI_RESPONSES.read_answer(OPENAI_RESPONSES.write_answer(answer, pairs.REPLY), SOURCE)
    assert read == answer


def test_a_foreign_seal_goes_out_stamped_as_encrypted_content() -> None:
    answer = Answer(id="a", model="m", parts=(Reasoning("", Seal("anthropic", "s")),), stop=Stopped("end"))
    (item,) = msgspec.json.decode(OPENAI_RESPONSES.write_answer(answer, pairs.REPLY))["output"]
    assert item["encrypted_content"].startswith("startline.seal.1.") and item["summary"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>", "provider_garbled"),
        (b"{}", "provider_garbled"),
        (b'{"output":[7]}', "provider_garbled"),
        (b'{"error":{"code":"rate_limit_exceeded","message":"x"}}', "provider_rate_limited"),
        (b'{"status":"failed","output":[],"error":{"code":"server_error","message":"x"}}', "provider_error"),
    ],
)
def test_errors_inside_a_200_are_the_providers_fault(body: bytes, code: str) -> None:
    with pytest.raises(UpstreamFault) as caught:
        OPENAI_RESPONSES.read_answer(body, SOURCE)
    assert (caught.value.code, caught.value.phase) == (code, "body")
