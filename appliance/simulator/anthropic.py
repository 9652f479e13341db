"""Anthropic as a provider: its keys, headers, errors, tiers and list of models.

Rule: values are functions of the request. Source of the shapes: the SDK's `_exceptions.py`, `types/shared/*_error*.py`,
`types/model_info.py` and `pagination.py`; names of headers from Anthropic's documentation.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from appliance.simulator.connection import Headers, Request
from appliance.simulator.faults import KEY_PREFIX, Fault, Rejected, invalid

NAME: Final = "anthropic"
CREDENTIALS: Final[frozenset[str]] = frozenset(("x-api-key", "authorization"))

_RESET: Final = "2026-12-01T00:00:00Z"  # when limits are full again: a fixed date, so that answers repeat
_TIERS: Final = ("auto", "standard_only")
_SERVED: Final[Mapping[str, str]] = MappingProxyType({"default": "standard", "priority": "priority"})

_OVERLOADED: Final = Fault(529, "overloaded_error", None, "Overloaded")
FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        "flex_unavailable": _OVERLOADED,  # there is no flex here
        "resource_exhausted": _OVERLOADED,
        "overloaded": _OVERLOADED,
        "insufficient_quota": Fault(
            429, "rate_limit_error", None, "You have reached your specified API usage limits."
        ),  # a spending limit: it does not say when to come back
        "billing": Fault(402, "billing_error", None, "Your credit balance is too low to access the Anthropic API."),
        "rate_limit_exceeded": Fault(
            429, "rate_limit_error", None, "This request would exceed your rate limit.", retry=True
        ),
        "server_error": Fault(500, "api_error", None, "Internal server error"),
        "bad_gateway": Fault(502, "api_error", None, "Bad gateway", html=True),
        "timeout": Fault(504, "timeout_error", None, "Request timed out."),
        "invalid_api_key": Fault(401, "authentication_error", None, "invalid x-api-key"),
        "forbidden": Fault(403, "permission_error", None, "Your API key has no permission for this resource."),
        "invalid_request": Fault(400, "invalid_request_error", None, "Invalid value in the request."),
        "model_not_found": Fault(404, "not_found_error", None, "model: not found"),
        "unprocessable": Fault(422, "invalid_request_error", None, "The request could not be processed."),
        "not_found": Fault(404, "not_found_error", None, "Not found"),
        "method_not_allowed": Fault(405, "invalid_request_error", None, "Method Not Allowed"),
        "too_large": Fault(413, "request_too_large", None, "Request exceeds the maximum size"),
    }
)


def check(request: Request) -> None:
    """One key, as `x-api-key` or bearer and not both, and `anthropic-version`."""
    key, bearer = request.header("x-api-key"), request.header("authorization")
    if key and bearer:
        raise Rejected(msgspec.structs.replace(FAULTS["invalid_api_key"], message="more than one credential was sent"))
    if not key.startswith(KEY_PREFIX) and not bearer.lower().startswith(f"bearer {KEY_PREFIX}"):
        raise Rejected(FAULTS["invalid_api_key"])
    if not request.header("anthropic-version"):
        raise invalid("anthropic-version: header is required")


def error(fault: Fault, message: str, request_id: str, retry_s: float) -> bytes:
    """`{"type": "error", "error": {…}, "request_id": …}`, or a proxy's page."""
    if fault.html:
        return fault.page(message)
    return msgspec.json.encode(told(fault, message) | {"request_id": request_id})


def told(fault: Fault, message: str) -> dict[str, Any]:
    """The error object, as it also appears inside streams."""
    error: dict[str, Any] = {"type": fault.type, "message": message or fault.message}
    if fault.details:
        error["details"] = fault.details[0]
    return {"type": "error", "error": error}


def headers(request_id: str, processing_s: float, tier: str) -> Headers:
    """The headers of every answer of the API."""
    return [
        ("server", "cloudflare"),
        ("request-id", request_id),
        ("anthropic-organization-id", "00000000-0000-4000-8000-00000000051a"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
        ("set-cookie", "_cfuvid=simulated; path=/; HttpOnly; Secure; SameSite=None"),
        ("via", "1.1 google"),
        ("x-envoy-upstream-service-time", str(round(processing_s * 1000))),
        ("cf-cache-status", "DYNAMIC"),
        ("cf-ray", "0123456789abcdef-SIM"),
    ]


def limits(exhausted_s: float | None = None) -> Headers:
    """The rate-limit headers; token counts are rounded to thousands and resets are dates."""
    headers = []
    for what, limit in (("requests", 4000), ("input-tokens", 2_000_000), ("output-tokens", 400_000)):
        left = 0 if exhausted_s is not None else limit - (1 if what == "requests" else 1000)
        name = f"anthropic-ratelimit-{what}"
        headers += [(f"{name}-limit", str(limit)), (f"{name}-remaining", str(left)), (f"{name}-reset", _RESET)]
    if exhausted_s is not None:
        headers.append(("retry-after", f"{exhausted_s:g}"))
    return headers


def tier(body: dict[str, Any], tiers: frozenset[str]) -> tuple[str, str | None]:
    """By `service_tier`: `auto`, which is also what no field means, is `priority` for a model that has it."""
    asked = body.get("service_tier")
    if asked is not None and asked not in _TIERS:
        raise invalid("service_tier: Input should be 'auto' or 'standard_only'", "service_tier")
    committed = asked != "standard_only" and "priority" in tiers
    return "priority" if committed else "default", asked


def served(name: str) -> str:
    """The tier as `usage.service_tier` tells it."""
    return _SERVED.get(name, name)


def model(name: str) -> dict[str, Any]:
    """One model."""
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": "2026-09-21T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def models(names: list[str], query: Mapping[str, str]) -> dict[str, Any]:
    """A page of the list of models, by `limit`, `after_id` and `before_id`. Raises Rejected."""
    try:
        limit = int(query.get("limit", "20"))
    except ValueError:
        limit = 0
    if not 1 <= limit <= 1000:
        raise invalid("limit: Input should be between 1 and 1000")
    after, before = query.get("after_id"), query.get("before_id")
    if after in names:
        names = names[names.index(after) + 1 :]
    more = len(names) > limit
    page = names[:limit]
    if before in names:
        names = names[: names.index(before)]
        more = len(names) > limit
        page = names[-limit:]
    return {
        "data": [model(name) for name in page],
        "has_more": more,
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }
