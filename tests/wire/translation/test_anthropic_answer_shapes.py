import pytest

from appliance.domain.chat import Citation
from appliance.domain.stream import Stopped
from appliance.domain.tokens import Tokens
from appliance.wire.tokens_anthropic import read_usage
from appliance.wire.translation.anthropic_answer_shapes import (
    REASONS,
    StopDetails,
    citation_object,
    stop_of,
    usage_object,
)


@pytest.mark.parametrize(
    "tokens",
    [
        Tokens(10, 5, 4, 3, 2, "known"),
        Tokens(10, 5, None, None, None, "known"),
        Tokens(0, 0, 0, 0, 0, "known"),
    ],
)
def test_usage_comes_back_the_same(tokens: Tokens) -> None:
    assert read_usage(usage_object(tokens)) == tokens


def test_input_is_never_below_zero() -> None:
    assert usage_object(Tokens(1, 0, 5))["input_tokens"] == 0
    assert usage_object(None) == {"input_tokens": 0, "output_tokens": 0}


def test_every_reason_is_said_and_read() -> None:
    for stop, reason in REASONS.items():
        assert stop_of(reason, None, None).reason == ("refusal" if stop == "filtered" else stop)
    assert stop_of("something_new", None, StopDetails("cyber")) == Stopped("end", None, "cyber")


def test_a_citation_without_a_page_has_no_form() -> None:
    assert citation_object(Citation(quote="x")) is None
    assert citation_object(Citation("u"))["encrypted_index"] == ""
