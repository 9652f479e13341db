import msgspec
import pytest

from appliance.domain.chat import Citation, Reasoning, Seal, Text, TokenLogprob, ToolCall
from appliance.domain.errors import UpstreamFault
from appliance.domain.stream import Answer, Stopped, fold
from appliance.domain.tokens import Tokens
from appliance.wire.translation.gemini_generate import GEMINI_GENERATE
from tests.wire.translation import pairs
from tests.wire.translation.golden import GOLDEN

SOURCE = pairs.source(GEMINI_GENERATE)


def read(**body: object) -> Answer:
    return GEMINI_GENERATE.read_answer(msgspec.json.encode(body), SOURCE)


def test_the_whole_reads_as_its_stream() -> None:
    data = (GOLDEN / "gemini" / "events_generate_grounded.sse").read_bytes()
    streamed = fold(pairs.read_stream(GEMINI_GENERATE.answer_reader(SOURCE), [data]))
    last = msgspec.json.decode(data.split(b"\r\n\r\n")[-2][6:])
    last["candidates"][0]["content"]["parts"] = [{"text": "Züge fahren heute."}]
    assert GEMINI_GENERATE.read_answer(msgspec.json.encode(last), SOURCE) == streamed


def test_what_is_written_is_read() -> None:
    answer = Answer(
        id="a",
        model="m",
        parts=(
            Reasoning("t", Seal("anthropic", "s")),
            Reasoning("", Seal("gemini", "AAAA", "part")),
            Text("é", citations=(Citation("https://e.org", "E", "é", 0, 1),), logprobs=(TokenLogprob("é", -1.0),)),
            Reasoning("", Seal("gemini", "BBBB", "part", "c")),
            ToolCall("c", "f", "{}"),
        ),
        stop=Stopped("tool_calls"),
        usage=Tokens(5, 4, 3, None, 2, "known"),
    )
    assert GEMINI_GENERATE.read_answer(GEMINI_GENERATE.write_answer(answer, pairs.REPLY), SOURCE) == answer


def test_a_blocked_prompt_is_an_answer_that_was_filtered() -> None:
    answer = read(promptFeedback={"blockReason": "SAFETY"}, usageMetadata={"promptTokenCount": 4})
    assert (answer.parts, answer.stop) == ((), Stopped("filtered", category="SAFETY"))
    assert answer.usage == Tokens(4, 0, 0, None, 0, "known")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>", "provider_garbled"),
        (b"{}", "provider_garbled"),
        (b'{"error":{"code":503,"status":"UNAVAILABLE","message":"x"}}', "provider_refused"),
        (b'{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}', "provider_error"),
    ],
)
def test_errors_inside_a_200_are_the_providers_fault(body: bytes, code: str) -> None:
    with pytest.raises(UpstreamFault) as caught:
        GEMINI_GENERATE.read_answer(body, SOURCE)
    assert (caught.value.code, caught.value.phase) == (code, "body")
