"""Calls to what a provider keeps: no model, no body, no cost."""

from appliance.domain.tokens import NO_TOKENS
from appliance.wire.body import RequestBody
from appliance.wire.kept import KEPT

NOTHING = RequestBody({}, 0)


def test_the_path_is_the_id_with_its_action() -> None:
    for name, plain, streamed in (
        ("gemini_interactions", b"/interactions/v1_a", b"/interactions/v1_a?alt=sse"),
        ("openai_responses", b"/responses/v1_a", b"/responses/v1_a"),
    ):
        dialect = KEPT[name]
        asked = dialect.read_request(NOTHING, None, "v1_a", b"stream=true&last_event_id=3")
        assert (dialect.NAME, asked.stream, asked.model, asked.raceable) == (name, True, "", False)
        assert dialect.path(asked, model="", stream=True) == streamed
        assert dialect.path(asked, model="", stream=False) == plain
        assert dialect.upstream_body(asked, model="", tier=None, stream=False, add_usage=False) == b""


def test_an_answer_is_not_looked_into() -> None:
    for body in (b"", b"{}", b"anything"):
        assert KEPT["openai_responses"].read_answer(body).usage is NO_TOKENS
    assert not KEPT["gemini_interactions"].read_request(NOTHING, None, "a", b"stream=false").stream
