import msgspec
import pytest

from appliance.domain.errors import CallerFault
from appliance.wire import gemini_generate
from appliance.wire.body import RequestBody
from appliance.wire.gemini_request import config_of, model_and_action, model_path, tier_of


def body(**fields: object) -> RequestBody:
    return RequestBody.decode(msgspec.json.encode(fields))


def test_the_path_names_model_and_action() -> None:
    assert model_and_action("gemini-3-flash:countTokens") == ("gemini-3-flash", "countTokens")
    assert model_and_action("models/a/b:c:d") == ("a/b:c", "d")
    assert model_and_action("nothing") == ("", "nothing")


def test_no_model_leaves_its_place() -> None:
    assert model_path("a/../b?x#y é", "generateContent") == b"/models/a%2F..%2Fb%3Fx%23y%20%C3%A9:generateContent"


@pytest.mark.parametrize("name", ["serviceTier", "service_tier"])
@pytest.mark.parametrize(
    ("told", "word"),
    [
        ("flex", "flex"),
        ("standard", "default"),
        ("PRIORITY", "priority"),
        ("SERVICE_TIER_FLEX", "flex"),
        ("unspecified", None),
        ("deferred", "deferred"),
        (None, None),
    ],
)
def test_the_tier_in_any_spelling(name: str, told: str | None, word: str | None) -> None:
    assert tier_of(body(**{name: told})) == word


def test_a_tier_that_is_no_text_is_refused() -> None:
    with pytest.raises(CallerFault):
        tier_of(body(serviceTier=3))


def test_a_config_that_cannot_be_read_is_the_providers_to_refuse() -> None:
    assert config_of(body(generationConfig={"maxOutputTokens": 5})).max_output_tokens == 5
    for wrong in (body(), body(generationConfig=3), body(generationConfig={"maxOutputTokens": "x"})):
        assert config_of(wrong).max_output_tokens is None


@pytest.mark.parametrize(("told", "limit"), [(b"5", 5), (b"-5", None), (b"1" + b"0" * 24, None)])
def test_a_limit_of_the_output_that_no_model_has_is_none(told: bytes, limit: int | None) -> None:
    body = RequestBody.decode(b'{"contents":[],"generationConfig":{"maxOutputTokens":' + told + b"}}")
    assert gemini_generate.read_request(body, None, "m:generateContent").max_output_tokens == limit
