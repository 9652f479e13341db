import pytest
from msgspec import UNSET, Raw

from appliance.domain.chat import Citation
from appliance.domain.stream import Answer, Stopped, StopReason
from appliance.domain.tokens import UNKNOWN_TOKENS, Tokens
from appliance.wire.translation.openai_responses_answer_shapes import (
    AnnotationShape,
    DetailsShape,
    ResponseShape,
    citation_of,
    logprobs_of,
    response_object,
    status_of,
    stop_of,
    usage_object,
)


@pytest.mark.parametrize(
    ("status", "reason", "called", "stop"),
    [
        ("completed", None, False, "end"),
        ("completed", None, True, "tool_calls"),
        ("incomplete", "max_output_tokens", True, "length"),
        ("incomplete", "content_filter", False, "filtered"),
        ("incomplete", None, False, "length"),
    ],
)
def test_why_it_stopped(status: str, reason: str | None, called: bool, stop: StopReason) -> None:
    response = ResponseShape(status=status, incomplete_details=DetailsShape(reason))
    assert stop_of(response, called=called) == stop


def test_notes_on_what_the_provider_keeps_are_no_citations() -> None:
    assert citation_of(AnnotationShape("file_citation")) is None
    assert citation_of(AnnotationShape("url_citation", "u", "t", 1, 2)) == Citation("u", "t", None, 1, 2)


@pytest.mark.parametrize("raw", [UNSET, Raw(b"[]"), Raw(b"null"), Raw(b'{"odd":1}')])
def test_log_probabilities_of_an_odd_form_are_none(raw: Raw) -> None:
    assert logprobs_of(raw) is None


def test_the_response_object_says_why_it_is_incomplete_and_what_was_used() -> None:
    answer = Answer(id="r", model="m", created=1, stop=Stopped("length"), usage=Tokens(2, 1, 0, None, 0, "known"))
    told = response_object(answer, [], status_of("length"))
    assert told["incomplete_details"] == {"reason": "max_output_tokens"}
    assert told["usage"] == {
        "input_tokens": 2,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 3,
    }
    assert usage_object(UNKNOWN_TOKENS) is None
