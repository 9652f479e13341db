"""What a provider's error means, in all shapes. The rule: whose fault it is decides what the race does next.

| answer | fault | why |
|---|---|---|
| 429 while flex was asked, not a quota code | provider_refused | flex without capacity; not charged |
| 498; 503; 529; an overload code with any status | provider_refused | no capacity now (498: Groq's flex) |
| any other 429; 402 | provider_rate_limited | a quota or a rate limit: the same on every tier |
| 401, 403; Google's API_KEY_INVALID | provider_key_rejected | the operator's key; the body may quote it: dropped |
| 408; other 5xx | provider_error | the provider failed |
| 3xx | provider_error, as 502 | no redirect is followed |
| other 4xx | provider_rejected | the caller's request |

A 429 of Google's whose details hold a `QuotaFailure` is a quota, whatever the tier; one without is flex without
capacity. Its details also say how long to wait.

Status and body are kept; but a body that is not a JSON object is dropped.

Inside a stream there is no status: the code decides (`in_stream`), and what is unknown is the provider's failure.
"""

import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from appliance.domain.errors import UpstreamFault

QUOTA_CODES: Final = frozenset(
    {"insufficient_quota", "rate_limit_exceeded", "billing_hard_limit_reached", "usage_not_included", "quota_exceeded"}
    | {"QuotaFailure"}  # the type of a detail of Google's
)
OVERLOAD_CODES: Final = frozenset(
    {
        "server_is_overloaded",
        "resource_unavailable",
        "capacity_exceeded",
        "slow_down",
        "overloaded",
        "overloaded_error",
        "engine_overloaded",
        "engine_overloaded_error",
        "service_unavailable_error",
        "service_unavailable",
        "UNAVAILABLE",
    }
)
_CALLER_CODES: Final = frozenset(
    {
        "INVALID_ARGUMENT",
        "FAILED_PRECONDITION",
        "NOT_FOUND",
        "request_too_large",
        "not_found_error",
        "invalid_prompt",
        "invalid_request_error",
        "invalid_request",
        "context_length_exceeded",
        "data_residency_mismatch",
        "bio_policy",
        "misalignment_policy_violation",
        "content_filter",
        "content_policy_violation",
        "string_above_max_length",
        "unsupported_parameter",
        "unsupported_value",
        "invalid_value",
        "model_not_found",
        # the image codes of a failed Response
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
        "BadRequestError",
    }
)
_MOST_WAIT_S: Final = 86_400.0
_CODE = re.compile(r"[A-Za-z0-9_.\-]{1,64}", re.ASCII)
_ANY = msgspec.json.Decoder()

Headers = Callable[[bytes], bytes | None]
"""The value of a header by its lower-case name, or None."""


def read_error(
    status: int,
    headers: Headers,
    body: bytes,
    *,
    dialect: str,
    provider: str,
    tier_asked: str | None,
    now_unix_s: float | None = None,
    refusal: frozenset[str] = frozenset(),
) -> UpstreamFault:
    """The fault of an answer with an error status. `refusal`: statuses and codes that mean "no capacity" at this
    provider, beside those that all share. `now_unix_s` makes a `retry-after` that is a date readable.
    """
    error = _error_object(body)
    kind, code = _codes(error)
    details, wait_s = _details(error)
    told = (details | {kind, code}) - {None}
    kept = None if error is None else body  # a proxy's page is not of the caller's dialect
    to_caller = status
    if refusal and not refusal.isdisjoint((str(status), kind, code)):
        name = "provider_refused"
    elif status in (401, 403) or "API_KEY_INVALID" in told or _names_key(error, dialect):
        name, kept, to_caller = "provider_key_rejected", None, 403
    elif status == 402 or (
        status == 429 and (told & QUOTA_CODES or not (tier_asked == "flex" or told & OVERLOAD_CODES))
    ):
        name = "provider_rate_limited"
    elif status in (429, 498, 503, 529) or told & OVERLOAD_CODES:
        name = "provider_refused"
    elif status == 408 or status >= 500:
        name = "provider_error"
    elif status >= 400:
        name = "provider_rejected"
    else:
        name, kept, to_caller = "provider_error", None, 502
    message = None
    if name == "provider_key_rejected":
        message = f"The provider {provider} did not accept its API key, or the key may not do this."
    elif status < 400:
        message = (
            f"The provider {provider} answered with a redirect ({status}), which is not followed: see its base URL."
        )
    return UpstreamFault(
        name,
        message,
        status=to_caller,
        provider=provider,
        provider_code=_named(error) or code or kind,
        retry_after_s=retry_after_s(headers, now_unix_s) if wait_s is None else wait_s,
        phase="head",
        body=kept,
        family=family_of(dialect),
        content_type=(headers(b"content-type") or b"application/json") if kept else None,
    )


def in_stream(
    error: Any, body: bytes | None, *, provider: str, tier_asked: str | None, dialect: str = "openai"
) -> UpstreamFault:
    """The fault of an error object that came inside a 200 answer. `body` is that error as a body of its own."""
    kind, code = _codes(error)
    told = (_details(error)[0] | {kind, code}) - {None}
    status = int(code) if code is not None and code.isdecimal() and len(code) == 3 and code >= "400" else None
    if told & QUOTA_CODES:
        name = "provider_rate_limited"
    elif told & OVERLOAD_CODES or status in (498, 503, 529) or (status == 429 and tier_asked == "flex"):
        name = "provider_refused"
    elif status == 429:
        name = "provider_rate_limited"
    elif status in (401, 403) or told & {"invalid_api_key", "authentication_error", "permission_error"}:
        name, body, status = "provider_key_rejected", None, 403
    elif (status is not None and status < 500 and status != 408) or told & _CALLER_CODES:
        name = "provider_rejected"
    else:
        name = "provider_error"
    return UpstreamFault(
        name,
        status=status,
        provider=provider,
        provider_code=_named(error) or code or kind,
        phase="stream",
        body=body,
        family=family_of(dialect),
        content_type=b"application/json" if body else None,
    )


def family_of(dialect: str) -> str:
    """The family of a dialect's name: `openai`, `anthropic` or `gemini`; within one, errors have one shape."""
    return dialect.partition("_")[0]


def retry_after_s(headers: Headers, now_unix_s: float | None = None) -> float | None:
    """Seconds to wait by `retry-after-ms`, else `retry-after` (seconds; a date if the time is told); at most a day."""
    for name, unit_s in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        value = headers(name)
        if value is None:
            continue
        text = value.decode("latin-1").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
            return min(float(text) * unit_s, _MOST_WAIT_S)
        if unit_s == 1.0 and now_unix_s is not None:
            try:
                then = parsedate_to_datetime(text).timestamp()
            except (ValueError, OverflowError):
                continue
            return min(max(then - now_unix_s, 0.0), _MOST_WAIT_S)
    return None


def word(value: Any) -> str | None:
    """A provider's code or tier if it is one: a short word that may go into records and headers; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _names_key(error: Any, dialect: str) -> bool:
    """Whether Interactions, which tell no reason apart from the message, reject the key by Google's usual sentence."""
    message = error.get("message") if isinstance(error, dict) and dialect == "gemini_interactions" else None
    return isinstance(message, str) and message.startswith("API key not valid")


def _error_object(body: bytes) -> Any:
    try:
        answer = _ANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(answer, list) and answer:
        answer = answer[0]  # Gemini's compatible endpoint wraps it in a list
    return (answer.get("error") or answer) if isinstance(answer, dict) else None


def _codes(error: Any) -> tuple[str | None, str | None]:
    """(type, code) of an error object."""
    if not isinstance(error, dict):
        return None, None
    return word(error.get("type")) or word(error.get("status")), word(error.get("code"))


def _named(error: Any) -> str | None:
    """Google's word for what happened, whose code is the HTTP status again; None in the other shapes."""
    return word(error.get("status")) if isinstance(error, dict) and "type" not in error else None


def _details(error: Any) -> tuple[frozenset[str | None], float | None]:
    """Of Google's `details`: the types and reasons told, and the seconds to wait."""
    details = error.get("details") if isinstance(error, dict) else None
    told: set[str | None] = set()
    wait_s = None
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        told.add(word(str(detail.get("@type")).rpartition(".")[2]))
        told.add(word(detail.get("reason")))
        told_wait = detail.get("retryDelay")
        if isinstance(told_wait, str) and re.fullmatch(r"\d{1,9}(\.\d{1,9})?s", told_wait, re.ASCII):
            wait_s = min(float(told_wait[:-1]), _MOST_WAIT_S)
    return frozenset(told), wait_s
