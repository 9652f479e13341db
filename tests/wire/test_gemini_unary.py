import msgspec
import pytest

from appliance.domain.errors import UpstreamFault
from appliance.domain.tokens import NO_TOKENS, Tokens
from appliance.wire import gemini_unary as dialect
from appliance.wire.body import RequestBody


@pytest.mark.parametrize("action", ["countTokens", "embedContent", "batchEmbedContents"])
def test_it_is_passed_on_to_where_the_path_says(action: str) -> None:
    asked = dialect.read_request(RequestBody.decode(b'{"contents":[],"serviceTier":"flex"}'), b"30s", f"m:{action}")
    assert not asked.raceable
    assert dialect.path(asked, model="x", stream=False) == f"/models/x:{action}".encode()
    sent = dialect.upstream_body(asked, model="x", tier=None, stream=False, add_usage=False)
    assert msgspec.json.decode(sent) == {"contents": []}


def test_counting_costs_nothing_and_an_embedding_what_it_tells() -> None:
    assert dialect.read_answer(b'{"totalTokens":31}').usage is NO_TOKENS
    told = b'{"embedding":{"values":[]},"usageMetadata":{"promptTokenCount":3,"totalTokenCount":3}}'
    assert dialect.read_answer(told).usage == Tokens(3, 0, certainty="known")


def test_what_is_no_answer() -> None:
    for body, code in ((b"nonsense", "provider_garbled"), (b'{"error":{"status":"UNAVAILABLE"}}', "provider_refused")):
        with pytest.raises(UpstreamFault) as fault:
            dialect.read_answer(body)
        assert fault.value.code == code
