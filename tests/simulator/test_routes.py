"""Routes: each provider under its own paths, and the paths that several have told apart."""

import pytest

from appliance.simulator.connection import Request
from appliance.simulator.routes import find


def route(target: str, **headers: str) -> tuple[str, bool, str | None]:
    """Family, whether it is a call, and the models asked for."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    found = find(Request("POST", target, named, b""))
    return found.family.NAME, found.dialect is not None or found.plain is not None, found.models


@pytest.mark.parametrize(
    ("target", "family"),
    [
        ("/v1/chat/completions", "openai"),
        ("/v1/responses?x=1", "openai"),
        ("/v1/embeddings", "openai"),
        ("/v1/messages?beta=true", "anthropic"),
        ("/v1/messages/count_tokens", "anthropic"),
        ("/v1beta/models/gemini-3.8-flash:generateContent", "gemini"),
        ("/v1/models/gemini-3.8-flash:streamGenerateContent?alt=sse", "gemini"),
        ("/v1beta/models/m%40sim%3Arefuse%3Doverloaded:countTokens", "gemini"),
        ("/v1beta/models/m:batchEmbedContents", "gemini"),
    ],
)
def test_calls(target: str, family: str) -> None:
    assert route(target) == (family, True, None)


def test_models_are_told_apart_by_the_version_header() -> None:
    assert route("/v1/models") == ("openai", False, "")
    assert route("/v1/models", anthropic_version="2023-06-01") == ("anthropic", False, "")
    assert route("/v1/models/a%2Fb", anthropic_version="2023-06-01") == ("anthropic", False, "a/b")


def test_models_are_google_s_by_key_or_path() -> None:
    assert route("/v1/models", x_goog_api_key="x") == ("gemini", False, "")
    assert route("/v1/models?key=x") == ("gemini", False, "")
    assert route("/v1beta/models/a") == ("gemini", False, "a")


def test_a_model_and_what_else_the_url_says_are_found_in_it() -> None:
    found = find(Request("POST", "/v1beta/models/m@sim:start=1:streamGenerateContent?alt=sse&key=x", (), b""))
    assert found.given == {"model": "m@sim:start=1", "stream": True, "alt": "sse"}
    assert not found.array
    assert find(Request("POST", "/v1beta/models/m:streamGenerateContent", (), b"")).array


def test_interactions_are_made_and_kept() -> None:
    assert route("/v1beta/interactions") == ("gemini", True, None)
    assert find(Request("GET", "/v1/interactions/v1_a", (), b"")).kept == ("v1_a", "")
    assert find(Request("POST", "/v1/interactions/v1_a/cancel", (), b"")).kept == ("v1_a", "cancel")
    assert find(Request("POST", "/v1/interactions/v1_a/b/c", (), b"")).kept is None


def test_unknown_urls_belong_to_someone() -> None:
    assert route("/v1/nothing") == ("openai", False, None)
    assert route("/v1/nothing", anthropic_version="x") == ("anthropic", False, None)
