import msgspec
import pytest

from appliance.domain.errors import UpstreamFault
from appliance.domain.tokens import NO_TOKENS
from appliance.wire import anthropic_count as dialect
from appliance.wire.body import RequestBody


def test_it_is_passed_on_and_costs_nothing() -> None:
    body = RequestBody.decode(b'{"model":"claude-sonnet-5","messages":[],"start_within":"30s"}')
    asked = dialect.read_request(body, None)
    assert not asked.raceable
    assert dialect.path(asked, model="m", stream=False) == b"/messages/count_tokens"
    sent = dialect.upstream_body(asked, model="x", tier=None, stream=False, add_usage=False)
    assert msgspec.json.decode(sent) == {"model": "x", "messages": []}
    assert dialect.read_answer(b'{"input_tokens":2095}').usage is NO_TOKENS


def test_what_is_no_count() -> None:
    for body, code in (
        (b"nonsense", "provider_garbled"),
        (b'{"error":{"type":"overloaded_error"}}', "provider_refused"),
    ):
        with pytest.raises(UpstreamFault) as fault:
            dialect.read_answer(body)
        assert fault.value.code == code
