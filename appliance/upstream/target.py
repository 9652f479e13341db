"""Where one kind of call at one provider goes: connection, request line and fixed headers, made once and kept.

The rule: the credential is never part of it; it joins the head when an attempt begins and leaves with its bytes.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from appliance.domain.catalog import Provider
from appliance.http1.write import header_lines, safe_target, safe_value
from appliance.upstream.headers import Header
from appliance.upstream.origin import Origin, parse_base_url, parse_proxy

BEARER = b"authorization: Bearer "
USUAL_AUTH = {"openai": "bearer", "anthropic": "x-api-key", "gemini": "x-goog-api-key"}
"""The header that a family's own provider takes its credential in."""


NO_TIER_HEADERS: Mapping[str, Header] = MappingProxyType({})


class Target(msgspec.Struct, frozen=True):
    """A provider's endpoint: `start` is the head up to the headers that differ from call to call."""

    provider: Provider
    origin: Origin
    start: bytes
    credential: bytes = BEARER
    """What comes before the credential in its header's line."""

    refusal: frozenset[str] = frozenset()
    """Statuses and codes that mean "no capacity" here, beside those that all providers share."""

    tier_headers: Mapping[str, Header] = NO_TIER_HEADERS
    """Where this provider is asked for a tier by a header instead of a field: each tier's."""

    bodyless: bool = False
    """Whether its method is one that has no body, not even an empty one."""


def target(
    provider: Provider,
    path: bytes,
    method: bytes = b"POST",
    dialect: str = "",
    refusal: frozenset[str] = frozenset(),
    tier_headers: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> Target:
    """The target of `path` (such as b"/chat/completions") at a provider; whatever cannot stand there is encoded.

    `dialect`: the one that is spoken, empty: the provider's own. Raises ValueError for a bad base URL, or a dialect
    that the provider does not speak.
    """
    url = provider.base_for(dialect) if dialect else provider.base_url
    if url is None:
        raise ValueError("the provider does not speak this dialect")
    base = parse_base_url(url)
    lines = [
        method + b" " + base.prefix + safe_target(path) + b" HTTP/1.1",
        b"host: " + base.authority,
        b"accept-encoding: identity",
    ]
    if method == b"POST":
        lines.append(b"content-type: application/json")
    lines += [name.lower().encode() + b": " + safe_value(value) for name, value in provider.headers]
    auth = provider.auth or USUAL_AUTH.get((dialect or provider.family).partition("_")[0], "bearer")
    credential = BEARER if auth == "bearer" else auth.encode() + b": "
    origin = base.origin._replace(
        public_only=provider.public_only, proxy=parse_proxy(provider.proxy) if provider.proxy else None
    )
    asked = {tier: (name.lower().encode(), value.encode()) for tier, (name, value) in tier_headers.items()}
    return Target(provider, origin, b"\r\n".join(lines) + b"\r\n", credential, refusal, asked, method != b"POST")


def request_head(
    to: Target, secret: str, headers: Sequence[Header], *, stream: bool, length: int | None, ordinal: int = 1
) -> bytes:
    """The whole head of one attempt. Header values of the client are checked and encoded here.

    Attempts after the first carry a changed idempotency key: the rungs of a race are different calls to the provider.
    """
    if ordinal > 1:
        headers = [
            (name, b"%b-%d" % (value, ordinal) if name == b"idempotency-key" else value) for name, value in headers
        ]
    return b"".join(
        (
            to.start,
            to.credential,
            safe_value(secret),
            b"\r\naccept: text/event-stream\r\n" if stream else b"\r\naccept: application/json\r\n",
            header_lines(headers),
            b"\r\n" if length is None else b"content-length: %d\r\n\r\n" % length,
        )
    )
