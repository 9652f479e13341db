from appliance.wire import (
    anthropic_count,
    anthropic_messages,
    gemini_generate,
    gemini_interactions,
    gemini_unary,
    openai_chat,
    openai_embeddings,
    openai_responses,
)
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Asked, Dialect

DIALECTS: tuple[Dialect, ...] = (  # checked by mypy
    openai_chat,
    openai_responses,
    openai_embeddings,
    anthropic_messages,
    anthropic_count,
    gemini_generate,
    gemini_unary,
    gemini_interactions,
)


def test_each_module_is_a_dialect_of_its_own() -> None:
    paths = set()
    for dialect in DIALECTS:
        asked = dialect.read_request(RequestBody.decode(b'{"model":"m"}'), None, "m:countTokens")
        assert isinstance(asked, Asked)
        paths.add(dialect.path(asked, model="m", stream=False))
        assert not dialect.StreamReader(started_at="content", drop_usage=True, provider="p", tier_asked="flex").ended
    assert len({dialect.NAME for dialect in DIALECTS}) == len(paths) == len(DIALECTS)


def test_whether_a_request_may_be_raced_is_looked_up_when_asked() -> None:
    looks: list[RequestBody] = []

    def never(body: RequestBody) -> str | None:
        looks.append(body)
        return "never"

    body = RequestBody.decode(b"{}")
    asked = Asked("m", False, None, None, False, None, 0, body, never)
    assert not looks
    assert not asked.raceable
    assert asked.why_not_raced == "never"
    assert looks == [body, body]
