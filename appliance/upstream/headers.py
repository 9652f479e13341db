"""Which headers cross, both ways. The rule: by table; what is not listed stays on its side.

To the provider a request is built anew, so a client's credentials, cookies, forwarding headers and hop-by-hop fields
cannot pass. `openai-organization` and `-project` come from the stored credential's extra headers alone.
"""

from collections.abc import Iterable

TO_PROVIDER = frozenset(
    {
        b"user-agent",
        b"openai-beta",
        b"idempotency-key",
        b"x-client-request-id",
        # sessions of coding agents
        b"originator",
        b"session-id",
        b"session_id",
        b"thread-id",
        b"version",
        b"x-openai-subagent",
    }
)
TO_PROVIDER_PREFIXES = (b"x-stainless-", b"x-codex-", b"x-claude-code-")

TO_CLIENT = frozenset(
    {
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        b"x-request-id",
        b"request-id",
        b"apim-request-id",
        b"x-generation-id",
        b"x-amzn-requestid",
        b"openai-processing-ms",
        b"openai-version",
        b"x-gemini-service-tier",
    }
)
TO_CLIENT_PREFIXES = (
    b"x-ratelimit-",
    b"x-codex-",
    b"anthropic-ratelimit-",
    b"anthropic-priority-",
    b"anthropic-fast-",
)

Header = tuple[bytes, bytes]

_OPENAI_ONLY = frozenset({b"openai-beta"})
OF_FAMILY: dict[str, frozenset[bytes]] = {
    "openai": TO_PROVIDER,
    "anthropic": (TO_PROVIDER - _OPENAI_ONLY) | {b"anthropic-version", b"anthropic-beta", b"x-app"},
    "gemini": (TO_PROVIDER - _OPENAI_ONLY) | {b"x-goog-api-client", b"x-server-timeout"},
}
"""What a provider gets, by the family of the dialect that it is called in."""

VERSION: Header = (b"anthropic-version", b"2023-06-01")
"""Anthropic refuses a request without one; this is the only one there is."""


def to_provider(headers: Iterable[Header], family: str = "openai") -> list[Header]:
    """The client's headers that the provider gets; names in lower case."""
    wanted = OF_FAMILY[family]
    kept = [header for header in headers if header[0] in wanted or header[0].startswith(TO_PROVIDER_PREFIXES)]
    if family == "anthropic" and all(name != b"anthropic-version" for name, _ in kept):
        kept.append(VERSION)
    return kept


def to_client(headers: Iterable[Header]) -> list[Header]:
    """The provider's headers that the client gets (content-type is written apart)."""
    return [header for header in headers if header[0] in TO_CLIENT or header[0].startswith(TO_CLIENT_PREFIXES)]
