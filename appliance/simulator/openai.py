"""OpenAI as a provider: its keys, headers, errors, tiers and list of models.

Rule: the answer carries headers that a gateway must not pass on (`set-cookie`, `alt-svc`, `openai-organization`,
`strict-transport-security`), so that its stripping can be tested; the values are functions of the request.
"""

from collections.abc import Mapping
from typing import Any, Final

from appliance.simulator.connection import Headers, Request
from appliance.simulator.faults import FAULTS as FAULTS  # the names of faults are explained there
from appliance.simulator.faults import KEY_PREFIX, Fault, Rejected, invalid

NAME: Final = "openai"
CREDENTIALS: Final[frozenset[str]] = frozenset(("authorization",))

# What may be asked for, and which tier that is (the SDK's Literal; `fast` is the newer name of `priority`).
_TIERS: Final = {
    "auto": "default",
    "default": "default",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
    "ultrafast": "priority",
    "scale": "default",
}


def check(request: Request) -> None:
    """A bearer key."""
    if not request.header("authorization").lower().startswith(f"bearer {KEY_PREFIX}"):
        raise Rejected(FAULTS["invalid_api_key"])


def error(fault: Fault, message: str, request_id: str, retry_s: float) -> bytes:
    """`{"error": {…}}`; the request's id is in a header only."""
    return fault.body(message)


def headers(request_id: str, processing_s: float, tier: str) -> Headers:
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


def limits(exhausted_s: float | None = None) -> Headers:
    """The rate-limit headers; `exhausted_s` is for a 429: nothing left, and when to come back."""
    told = [
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-remaining-requests", "9999" if exhausted_s is None else "0"),
        ("x-ratelimit-remaining-tokens", "1999000"),
        ("x-ratelimit-reset-requests", "6ms" if exhausted_s is None else f"{exhausted_s:g}s"),
        ("x-ratelimit-reset-tokens", "30ms"),
    ]
    if exhausted_s is not None:
        told += [("retry-after", f"{exhausted_s:g}"), ("retry-after-ms", str(int(exhausted_s * 1000)))]
    return told


def tier(body: dict[str, Any], tiers: frozenset[str]) -> tuple[str, str | None]:
    """By `service_tier`; a tier that the model does not have stays asked for, and is refused later."""
    asked = body.get("service_tier")
    if asked is None:
        return "default", None
    if not isinstance(asked, str) or asked not in _TIERS:
        raise invalid("Invalid value for 'service_tier'.", "service_tier", "invalid_value")
    return _TIERS[asked], asked


def model(name: str) -> dict[str, Any]:
    """One model, as the SDK's `types/model.py` has it."""
    return {"id": name, "object": "model", "created": 1_790_000_000, "owned_by": "simulator"}


def models(names: list[str], query: Mapping[str, str]) -> dict[str, Any]:
    """The list of models; it has no pages."""
    return {"object": "list", "data": [model(name) for name in names]}
