import pytest

from appliance.domain.chat import Citation
from appliance.domain.stream import StopReason
from appliance.domain.tokens import UNKNOWN_TOKENS
from appliance.wire.translation.gemini_interactions_answer_shapes import (
    AnnotationShape,
    annotation_object,
    citation_of,
    second_of,
    stop_of,
    time_of,
    usage_object,
)


@pytest.mark.parametrize(
    ("status", "called", "stop"),
    [
        ("completed", False, "end"),
        ("completed", True, "tool_calls"),
        ("requires_action", False, "tool_calls"),
        ("budget_exceeded", True, "length"),
    ],
)
def test_why_it_stopped(status: str, called: bool, stop: StopReason) -> None:
    assert stop_of(status, called=called) == stop


def test_times_there_and_back() -> None:
    assert time_of(1793491200) == "2026-11-01T00:00:00Z"
    assert second_of("2026-11-01T00:00:00Z") == 1793491200
    assert second_of("2026-11-01T01:00:00.5+01:00") == 1793491200
    assert second_of("yesterday") is None and second_of(None) is None


def test_only_web_pages_are_cited() -> None:
    cited = Citation("https://e.org", None, None, 0, 5)
    told = annotation_object(cited)
    assert told == {"type": "url_citation", "url": "https://e.org", "start_index": 0, "end_index": 5}
    assert citation_of(AnnotationShape(**told)) == cited
    assert annotation_object(Citation(quote="q")) is None
    assert citation_of(AnnotationShape("place_citation", "https://e.org")) is None
    assert usage_object(UNKNOWN_TOKENS) is None
