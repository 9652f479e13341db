"""Google's Gemini API as a provider: its keys, headers, errors, tiers and list of models.

Rule: values are functions of the request. Source of the shapes: the SDK's `errors.py` (google.rpc.Status), `models.py`
(`_Model_from_mldev`, `_ListModelsResponse_from_mldev`) and `types.ServiceTier`; the tier served is told in a header.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from appliance.simulator.connection import Headers, Request
from appliance.simulator.faults import KEY_PREFIX, Fault, Rejected, invalid

NAME: Final = "gemini"
CREDENTIALS: Final[frozenset[str]] = frozenset(("x-goog-api-key", "authorization"))

_TIERS: Final[Mapping[str, str]] = MappingProxyType(
    {"unspecified": "default", "standard": "default", "flex": "flex", "priority": "priority"}
)
_STATUSES: Final[Mapping[int, str]] = MappingProxyType(
    {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 405: "UNIMPLEMENTED",
     413: "INVALID_ARGUMENT", 422: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 500: "INTERNAL",
     502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
)  # fmt: skip
_RPC: Final = "type.googleapis.com/google.rpc"
_METHODS: Final = ["generateContent", "countTokens", "createCachedContent", "batchGenerateContent"]

_OVERLOADED: Final = Fault(503, "UNAVAILABLE", None, "The model is overloaded. Please try again later.")


def _quota(metric: str) -> dict[str, Any]:
    """The detail that tells a caller's own quota from a provider that is full."""
    quota = {"quotaMetric": f"generativelanguage.googleapis.com/{metric}", "quotaId": metric, "quotaValue": "60"}
    return {"@type": f"{_RPC}.QuotaFailure", "violations": [quota]}


def _reason(reason: str) -> dict[str, Any]:
    metadata = {"service": "generativelanguage.googleapis.com"}
    return {"@type": f"{_RPC}.ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": metadata}


FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        "flex_unavailable": _OVERLOADED,
        "resource_exhausted": Fault(
            429, "RESOURCE_EXHAUSTED", None, "Resource has been exhausted (e.g. check quota)."
        ),  # without details: the provider is full
        "overloaded": _OVERLOADED,
        "insufficient_quota": Fault(
            429,
            "RESOURCE_EXHAUSTED",
            None,
            "You exceeded your current quota, please check your plan and billing details.",
            details=(_quota("generate_requests_per_model_per_day"),),
        ),
        "billing": Fault(400, "FAILED_PRECONDITION", None, "Please enable billing on your project."),
        "rate_limit_exceeded": Fault(
            429,
            "RESOURCE_EXHAUSTED",
            None,
            "You exceeded your current quota, please try again later.",
            retry=True,
            details=(_quota("generate_requests_per_model_per_minute"),),
        ),
        "server_error": Fault(500, "INTERNAL", None, "An internal error has occurred."),
        "bad_gateway": Fault(502, "UNAVAILABLE", None, "Bad gateway", html=True),
        "timeout": Fault(504, "DEADLINE_EXCEEDED", None, "Deadline expired before operation could complete."),
        "invalid_api_key": Fault(
            400,
            "INVALID_ARGUMENT",
            None,
            "API key not valid. Please pass a valid API key.",
            details=(_reason("API_KEY_INVALID"),),
        ),
        "forbidden": Fault(403, "PERMISSION_DENIED", None, "The caller does not have permission"),
        "invalid_request": Fault(400, "INVALID_ARGUMENT", None, "Request contains an invalid argument."),
        "model_not_found": Fault(404, "NOT_FOUND", None, "The model is not found or is not supported."),
        "unprocessable": Fault(400, "INVALID_ARGUMENT", None, "Unable to process input."),
        "not_found": Fault(404, "NOT_FOUND", None, "Requested entity was not found."),
        "method_not_allowed": Fault(405, "UNIMPLEMENTED", None, "Method not allowed."),
        "too_large": Fault(413, "INVALID_ARGUMENT", None, "Request payload size exceeds the limit."),
    }
)


def check(request: Request) -> None:
    """A key as `x-goog-api-key` or `?key=`, or a bearer token; none at all is a 403, a wrong token a 401."""
    key = request.header("x-goog-api-key") or request.query().get("key", "")
    bearer = request.header("authorization")
    if not key and not bearer:
        message = (
            "Method doesn't allow unregistered callers. Please use API Key or other form of API consumer identity."
        )
        raise Rejected(msgspec.structs.replace(FAULTS["forbidden"], message=message))
    if key and not key.startswith(KEY_PREFIX):
        raise Rejected(FAULTS["invalid_api_key"])
    if not key and not bearer.lower().startswith(f"bearer {KEY_PREFIX}"):
        message = "Request had invalid authentication credentials."
        raise Rejected(Fault(401, "UNAUTHENTICATED", None, message))


def error(fault: Fault, message: str, request_id: str, retry_s: float) -> bytes:
    """`{"error": {"code", "message", "status", "details"}}`, or a proxy's page."""
    return fault.page(message) if fault.html else msgspec.json.encode(told(fault, message, retry_s))


def told(fault: Fault, message: str, retry_s: float = 0.0) -> dict[str, Any]:
    """The error object, as it also appears inside streams."""
    status = fault.type if fault.type.isupper() else _STATUSES.get(fault.status, "UNKNOWN")
    details = [*fault.details]
    if fault.retry:
        details.append({"@type": f"{_RPC}.RetryInfo", "retryDelay": f"{retry_s:g}s"})
    error = {"code": fault.status, "message": message or fault.message, "status": status}
    return {"error": error | ({"details": details} if details else {})}


def headers(request_id: str, processing_s: float, tier: str) -> Headers:
    """The headers of every answer of the API; it has no request id."""
    return [
        ("x-gemini-service-tier", served(tier)),
        ("vary", "Origin, X-Origin, Referer"),
        ("server", "scaffolding on HTTPServer2"),
        ("x-xss-protection", "0"),
        ("x-frame-options", "SAMEORIGIN"),
        ("x-content-type-options", "nosniff"),
        ("server-timing", f"gfet4t7; dur={round(processing_s * 1000)}"),
        ("alt-svc", 'h3=":443"; ma=2592000'),
    ]


def limits(exhausted_s: float | None = None) -> Headers:
    """Nothing: when to come back is told in the error's details."""
    return []


def tier(body: dict[str, Any], tiers: frozenset[str]) -> tuple[str, str | None]:
    """By `serviceTier` in either spelling, in any case."""
    asked = body.get("serviceTier", body.get("service_tier"))
    if asked is None:
        return "default", None
    name = asked.lower().removeprefix("service_tier_") if isinstance(asked, str) else ""
    if name not in _TIERS:
        raise invalid("Invalid value at 'service_tier' (type.googleapis.com/google.ai.ServiceTier)", "service_tier")
    return _TIERS[name], asked


def served(name: str) -> str:
    """The tier as the header tells it."""
    return "standard" if name == "default" else name


def model(name: str) -> dict[str, Any]:
    """One model."""
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "description": "A simulated model.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["embedContent"] if "embedding" in name else _METHODS,
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": True,
    }


def models(names: list[str], query: Mapping[str, str]) -> dict[str, Any]:
    """A page of the list of models, by `pageSize` and `pageToken`. Raises Rejected."""
    try:
        size, first = int(query.get("pageSize", "50")), int(query.get("pageToken", "0"))
    except ValueError:
        raise invalid("Invalid value at 'page_size' or 'page_token'") from None
    last = first + min(max(size, 1), 1000)
    told = {"models": [model(name) for name in names[max(first, 0) : last]]}
    return told | ({"nextPageToken": str(last)} if last < len(names) else {})
