import msgspec

from appliance.domain.tokens import Tokens
from appliance.wire import openai_embeddings as dialect
from appliance.wire.body import RequestBody


def test_embeddings_pass_through_and_are_never_raced() -> None:
    body = RequestBody.decode(b'{"start_within":"30s","model":"p/m","input":["a"],"dimensions":3}')
    asked = dialect.read_request(body, None)
    assert not asked.raceable
    assert asked.why_not_raced == "no_stream"
    sent = dialect.upstream_body(asked, model="m", tier=None, stream=True, add_usage=True)
    assert sent == b'{"model":"m","input":["a"],"dimensions":3}'


def test_their_usage_has_no_output() -> None:
    answer = dialect.read_answer(
        msgspec.json.encode(
            {"object": "list", "data": [], "model": "m", "usage": {"prompt_tokens": 8, "total_tokens": 8}}
        )
    )
    assert answer.usage == Tokens(8, 0, certainty="known")


def test_the_module_has_every_name_of_a_dialect() -> None:
    assert dialect.keep_alive().startswith(b":")
    assert all(hasattr(dialect, name) for name in dialect.__all__)
