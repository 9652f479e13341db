import msgspec
import pytest

from appliance.domain.chat import Citation, Opaque, Reasoning, Seal, Text, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, Stopped
from appliance.domain.tokens import Tokens
from appliance.wire.translation.gemini_interactions import GEMINI_INTERACTIONS
from tests.wire.translation import pairs

SOURCE = pairs.source(GEMINI_INTERACTIONS)


def test_what_is_written_is_read() -> None:
    answer = Answer(
        id="a",
        model="m",
        created=1793491200,
        parts=(
            Reasoning("t", Seal("openai", "gA", "encrypted", "rs_1")),
            Reasoning("", Seal("gemini", "AAAA", "signature")),
            Text("é", citations=(Citation("https://e.org", "E", None, 0, 1),)),
            Opaque("gemini_interactions", "google_search_call", msgspec.Raw(b'{"type":"google_search_call"}')),
            ToolCall("c", "f", '{"b": 1}'),
        ),
        stop=Stopped("tool_calls"),
        usage=Tokens(5, 4, 3, None, 2, "known"),
        tier="flex",
    )
    assert GEMINI_INTERACTIONS.read_answer(GEMINI_INTERACTIONS.write_answer(answer, pairs.REPLY), SOURCE) == answer


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>", "provider_garbled"),
        (b"{}", "provider_garbled"),
        (b'{"status":"completed","steps":[7]}', "provider_garbled"),
        (b'{"status":"failed","steps":[]}', "provider_error"),
        (b'{"error":{"code":"resource_exhausted","message":"x"}}', "provider_rate_limited"),
    ],
)
def test_errors_inside_a_200_are_the_providers_fault(body: bytes, code: str) -> None:
    with pytest.raises(UpstreamFault) as caught:
        GEMINI_INTERACTIONS.read_answer(body, SOURCE)
    assert (caught.value.code, caught.value.phase) == (code, "body")
