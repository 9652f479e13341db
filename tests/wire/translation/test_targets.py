"""The choice of a dialect for a provider that does not speak the caller's."""

import pytest

from appliance.domain.catalog import Provider, ProviderKind
from appliance.wire.translation.codecs import CODECS
from appliance.wire.translation.targets import home, most_output_tokens, quirks, targets


def provider(kind: ProviderKind, *dialects: str, **facts: object) -> Provider:
    spoken = tuple((name, "") for name in dialects)
    return Provider("id", "org", "some", kind, "https://a.test/v1", dialects=spoken, **facts)  # type: ignore[arg-type]


def test_a_family_is_asked_in_its_own_dialect() -> None:
    assert targets(provider("anthropic"), "openai_chat") == ("anthropic_messages",)
    assert targets(provider("gemini"), "openai_chat")[0] == "gemini_generate"
    assert targets(provider("openai_compatible"), "anthropic_messages")[0] == "openai_chat"


def test_openai_itself_is_asked_where_reasoning_can_be_signed() -> None:
    sealed = "openai_responses" if "openai_responses" in CODECS else "openai_chat"
    assert targets(provider("openai"), "anthropic_messages")[0] == sealed
    assert "openai_chat" in targets(provider("openai"), "gemini_generate")


def test_the_dialects_of_the_own_family_go_alone_since_its_tiers_are_asked_for_in_them() -> None:
    router = provider("openai_compatible", "openai_chat", "anthropic_messages")
    assert targets(router, "gemini_generate") == ("openai_chat",)
    assert targets(provider("openai_compatible", "anthropic_messages"), "openai_chat") == ("anthropic_messages",)


@pytest.mark.parametrize("dialect", ["openai_embeddings", "anthropic_count", "gemini_unary"])
def test_what_is_no_conversation_has_no_target(dialect: str) -> None:
    assert targets(provider("anthropic"), dialect) == ()


def test_a_seal_is_at_home_with_its_family_or_with_one_provider_alone() -> None:
    assert home(provider("anthropic")) == "anthropic"
    assert home(provider("openai_compatible", profile="xai")) == "xai"
    assert home(provider("openai_compatible")) == "some"


def test_old_models_think_within_a_budget() -> None:
    one = provider("anthropic")
    for model in ("claude-3-7-sonnet-20250219", "claude-sonnet-4-20250514", "claude-opus-4-5", "gemini-2.5-flash"):
        assert quirks(one, model) == {"thinking_budget"}, model
    for model in ("claude-sonnet-4-6", "claude-sonnet-5", "claude-opus-5-20260801", "gemini-3.5-flash", "gpt-5.4"):
        assert quirks(one, model) == frozenset(), model
    assert quirks(provider("openai_compatible", stream_options=False), "m", ("max_tokens",)) == {
        "no_stream_options",
        "max_tokens",
    }


def test_old_models_write_less() -> None:
    written = [most_output_tokens(model) for model in ("claude-3-opus-20240229", "claude-3-5-haiku-latest", "claude-5")]
    assert written == [4096, 8192, 32_000]
