from appliance.domain.chat import Citation, TokenLogprob
from appliance.domain.tokens import Tokens
from appliance.wire.translation.openai_chat_answer_shapes import annotation_object, logprob_object, usage_object


def test_usage_counts_cached_and_reasoning_inside_the_totals() -> None:
    assert usage_object(Tokens(10, 5, 4, 3, 2, "known")) == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    assert usage_object(Tokens()) is None


def test_a_citation_without_bounds_covers_its_text() -> None:
    note = annotation_object(Citation("u"), 3, 9)
    assert note == {"type": "url_citation", "url_citation": {"url": "u", "title": "", "start_index": 3, "end_index": 9}}
    assert annotation_object(Citation(quote="words of a document"), 0, 1) is None


def test_a_log_probability_has_every_field_that_the_sdk_wants() -> None:
    assert logprob_object(TokenLogprob("a", -1.0, None, (TokenLogprob("b", -2.0, (98,)),))) == {
        "token": "a",
        "logprob": -1.0,
        "bytes": None,
        "top_logprobs": [{"token": "b", "logprob": -2.0, "bytes": (98,)}],
    }
