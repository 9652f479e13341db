"""Which headers cross: what is not listed stays on its side."""

import pytest

from appliance.upstream.headers import to_client, to_provider


@pytest.mark.parametrize(
    "name",
    ["user-agent", "openai-beta", "idempotency-key", "x-client-request-id", "x-stainless-lang", "session_id"],
)
def test_these_reach_the_provider(name: str) -> None:
    header = (name.encode(), b"v")
    assert to_provider([header]) == [header]


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "x-api-key", "x-goog-api-key", "proxy-authorization", "cookie", "host", "connection",
        "keep-alive", "te", "transfer-encoding", "upgrade", "content-length", "content-encoding", "accept-encoding",
        "forwarded", "x-forwarded-for", "x-real-ip", "via", "openai-organization", "openai-project", "x-start-within",
        "x-startline-request-id", "expect", "origin", "referer", "x-anything",
    ],
)  # fmt: skip
def test_these_do_not(name: str) -> None:
    assert to_provider([(name.encode(), b"v")]) == []


@pytest.mark.parametrize(
    "name", ["retry-after", "retry-after-ms", "x-request-id", "x-ratelimit-remaining-tokens", "openai-processing-ms"]
)
def test_these_reach_the_client(name: str) -> None:
    header = (name.encode(), b"v")
    assert to_client([header]) == [header]


@pytest.mark.parametrize(
    "name",
    [
        "set-cookie", "alt-svc", "strict-transport-security", "openai-organization", "openai-project", "server",
        "content-encoding", "content-length", "transfer-encoding", "connection", "location", "date", "cf-ray",
        "x-startline-cost-usd", "access-control-allow-origin", "content-type",
    ],
)  # fmt: skip
def test_these_stay_with_us(name: str) -> None:
    assert to_client([(name.encode(), b"v")]) == []


def test_each_family_gets_its_own_headers() -> None:
    told = [(name, b"x") for name in (b"openai-beta", b"anthropic-beta", b"anthropic-version", b"x-goog-api-client")]
    assert [name for name, _ in to_provider(told)] == [b"openai-beta"]
    assert [name for name, _ in to_provider(told, "anthropic")] == [b"anthropic-beta", b"anthropic-version"]
    assert [name for name, _ in to_provider(told, "gemini")] == [b"x-goog-api-client"]


def test_anthropic_is_always_told_a_version() -> None:
    assert to_provider([], "anthropic") == [(b"anthropic-version", b"2023-06-01")]
    assert to_provider([(b"anthropic-version", b"2099-01-01")], "anthropic") == [(b"anthropic-version", b"2099-01-01")]
