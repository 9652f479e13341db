"""Response headers as OpenAI sends them, and the request headers and fields that a gateway must keep to itself.

Rule: the answer carries headers that a gateway must not pass on (`set-cookie`, `alt-svc`, `openai-organization`,
`strict-transport-security`), so that its stripping can be tested; the values are functions of the request.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from appliance.simulator.connection import Headers

_FORBIDDEN: Final = frozenset(
    ("cookie", "x-api-key", "x-goog-api-key", "x-start-within", "proxy-authorization", "proxy-connection", "forwarded",
     "te", "upgrade", "http2-settings", "keep-alive", "x-real-ip", "via")
)  # fmt: skip
_FORBIDDEN_PREFIXES: Final = ("x-startline", "x-forwarded-")
_GATEWAY_KEYS: Final = ("sk-sl-", "mk-sl-")


def usual(request_id: str, processing_s: float) -> Headers:
    """The headers of every answer of the API. `processing_s` is the time planned, not measured: it repeats."""
    return [
        ("server", "cloudflare"),
        ("x-request-id", request_id),
        ("openai-processing-ms", str(round(processing_s * 1000))),
        ("openai-organization", "org-simulator"),
        ("openai-project", "proj_simulator"),
        ("openai-version", "2020-10-01"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
        ("set-cookie", "__cf_bm=simulated; path=/; HttpOnly; Secure; SameSite=None"),
        ("alt-svc", 'h3=":443"; ma=86400'),
        ("x-content-type-options", "nosniff"),
        ("cf-ray", "0123456789abcdef-SIM"),
    ]


def rate_limits(*, exhausted_s: float | None = None) -> Headers:
    """The rate-limit headers; `exhausted_s` is for a 429: nothing left, and when to come back."""
    headers = [
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-remaining-requests", "9999" if exhausted_s is None else "0"),
        ("x-ratelimit-remaining-tokens", "1999000"),
        ("x-ratelimit-reset-requests", "6ms" if exhausted_s is None else f"{exhausted_s:g}s"),
        ("x-ratelimit-reset-tokens", "30ms"),
    ]
    if exhausted_s is not None:
        headers += [("retry-after", f"{exhausted_s:g}"), ("retry-after-ms", str(int(exhausted_s * 1000)))]
    return headers


def forbidden(headers: Iterable[tuple[str, str]], body: Mapping[str, Any]) -> list[str]:
    """What arrived that a gateway must not pass on: names of headers, `NAME: gateway key` for a key of the gateway
    itself, `body.FIELD` for its own fields in the body.
    """
    found = []
    for name, value in headers:
        if name in _FORBIDDEN or name.startswith(_FORBIDDEN_PREFIXES):
            found.append(name)
        if any(prefix in value for prefix in _GATEWAY_KEYS):
            found.append(f"{name}: gateway key")
    return found + [f"body.{field}" for field in body if is_gateway_field(field)]


def is_gateway_field(field: str) -> bool:
    """Whether a top-level field of a body belongs to the gateway; OpenAI would refuse it as unknown."""
    return field == "start_within" or field.startswith("startline")
