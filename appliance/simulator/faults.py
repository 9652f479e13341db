"""How the simulated provider says no: statuses and bodies of errors, in OpenAI's shape; others have theirs beside them.

Rule: every refusal a gateway must tell apart has its own name here, and each provider a form of every name. Source of
the shape: the SDK's `_exceptions.py` (`{"error": {"message", "type", "param", "code"}}`); the wording is ours but for
the phrases clients look for.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

KEY_PREFIX: Final = "sk-sim-"  # of every provider's keys


class Fault(msgspec.Struct, frozen=True):
    """One way of refusing: HTTP status and the four fields of OpenAI's error object (Anthropic has `type` of them)."""

    status: int
    type: str
    code: str | None
    message: str
    param: str | None = None
    html: bool = False  # a proxy's page instead of the provider's JSON
    retry: bool = False  # says when to come back
    details: tuple[dict[str, Any], ...] = ()  # Google's; Anthropic has at most one

    def page(self, message: str = "") -> bytes:
        """The refusal as a proxy's page."""
        return f"<html><title>{self.status}</title><body>{message or self.message}</body></html>".encode()

    def body(self, message: str = "") -> bytes:
        """The body of the refusal, with another message if one is given."""
        return self.page(message) if self.html else msgspec.json.encode({"error": self.error(message)})

    def error(self, message: str = "") -> dict[str, str | None]:
        """The error object alone, as it also appears inside streams."""
        return {"message": message or self.message, "type": self.type, "param": self.param, "code": self.code}

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return "text/html; charset=utf-8" if self.html else "application/json"


class Rejected(Exception):
    """A request that cannot be answered; carries the Fault to answer with."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code or fault.type)
        self.fault = fault


def invalid(message: str, param: str | None = None, code: str | None = None) -> Rejected:
    """A 400 `invalid_request_error` to raise."""
    return Rejected(Fault(400, "invalid_request_error", code, message, param))


FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        "flex_unavailable": Fault(
            429, "resource_unavailable", "resource_unavailable", "Resource Unavailable: no flex capacity at the moment."
        ),
        "insufficient_quota": Fault(
            429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota, check plan and billing."
        ),
        "rate_limit_exceeded": Fault(
            429,
            "requests",
            "rate_limit_exceeded",
            "Rate limit reached for requests. Please try again later.",
            retry=True,
        ),
        "resource_exhausted": Fault(429, "resource_unavailable", None, "Resource Unavailable. Please try again later."),
        "billing": Fault(429, "billing_not_active", "billing_not_active", "Your account is not active."),
        "server_error": Fault(500, "server_error", None, "The server had an error while processing the request."),
        "overloaded": Fault(
            503, "service_unavailable_error", "server_is_overloaded", "The server is overloaded. Slow down."
        ),
        "bad_gateway": Fault(502, "bad_gateway", None, "Bad gateway", html=True),
        "timeout": Fault(408, "timeout", "request_timeout", "Request Timeout"),
        "invalid_api_key": Fault(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
        "forbidden": Fault(
            403, "invalid_request_error", "unsupported_country_region_territory", "Country or region not supported."
        ),
        "invalid_request": Fault(400, "invalid_request_error", "invalid_value", "Invalid value in the request."),
        "model_not_found": Fault(404, "invalid_request_error", "model_not_found", "The model does not exist."),
        "unprocessable": Fault(422, "invalid_request_error", None, "The request could not be processed."),
        "not_found": Fault(404, "invalid_request_error", "unknown_url", "Unknown request URL."),
        "method_not_allowed": Fault(405, "invalid_request_error", "method_not_supported", "Wrong method for this URL."),
        "too_large": Fault(413, "invalid_request_error", "request_too_large", "The request body is too large."),
    }
)
