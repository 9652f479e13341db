"""Faults as the caller sees them. The rule: the dialect's own envelope, and in it one block, the same everywhere.

A provider's error in the caller's dialect passes byte for byte; the block then travels in `x-startline-error`. Across
dialects it is written anew, with its status and its message.
"""

from typing import Any, Final

import msgspec

from appliance.domain.errors import Fault, UpstreamFault
from appliance.wire.provider_errors import family_of

JSON: Final = b"application/json"
DOC_PATH: Final = "/docs/errors#"
_ENCODER = msgspec.json.Encoder()
_ERROR = msgspec.json.Decoder(dict[str, Any])


class _Worded(msgspec.Struct):
    code: str


_WORDED = msgspec.json.Decoder(dict[str, _Worded])

_TYPES: Final = {
    "validation": "invalid_request_error",
    "capability": "invalid_request_error",
    "not_found": "invalid_request_error",
    "limit": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "upstream": "server_error",
    "internal": "server_error",
    "canceled": "server_error",
}


_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Source: the official SDK's error types; what is missing is `invalid_request_error` below 500, `api_error` above."""

_GOOGLE_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""Source: google.rpc.Code's mapping to HTTP; what is missing is `INVALID_ARGUMENT` below 500, `INTERNAL` above."""


def block(fault: Fault) -> dict[str, Any]:
    """The block that every error carries: code, class, origin, status, provider, provider_code, retryable, doc_url."""
    return {
        "code": fault.code,
        "class": fault.klass,
        "origin": fault.origin,
        "status": fault.status,
        "provider": fault.provider,
        "provider_code": fault.provider_code,
        "retryable": fault.retryable,
        "doc_url": DOC_PATH + fault.kind.code,
    }


def openai_error(fault: Fault) -> dict[str, Any]:
    """The object under `error` in the OpenAI dialects: the provider's own fields where it sent some, and the block."""
    if fault.status == 429:
        kind = "rate_limit_error"
    else:
        kind = _TYPES[fault.klass]
    error: dict[str, Any] = {"message": fault.message, "type": kind, "param": fault.param, "code": fault.code}
    error |= _providers_own(fault, "openai")
    return error | dict.fromkeys(fault.block_names, block(fault))


def anthropic_error(fault: Fault) -> dict[str, Any]:
    """The object under `error` in Anthropic's dialect.

    A conversation that the server shall hold is refused in the words by which the official SDK's tool runner knows that
    it must send its turns whole. Source: its `lib/internal/threads/ThreadState`.
    """
    usual = "invalid_request_error" if fault.status < 500 else "api_error"
    error: dict[str, Any] = {"type": _ANTHROPIC_TYPES.get(fault.status, usual), "message": fault.message}
    error |= _providers_own(fault, "anthropic")
    if fault.code == "inexpressible" and fault.param == "thread":
        error["details"] = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    return error | dict.fromkeys(fault.block_names, block(fault))


def google_error(fault: Fault) -> dict[str, Any]:
    """The object under `error` in Google's dialects: google.rpc.Status, the block among its fields."""
    usual = "INVALID_ARGUMENT" if fault.status < 500 else "INTERNAL"
    status = _GOOGLE_STATUSES.get(fault.status, usual)
    error: dict[str, Any] = {"code": fault.status, "message": fault.message, "status": status}
    error |= _providers_own(fault, "gemini")
    return error | dict.fromkeys(fault.block_names, block(fault))


def fault_body(fault: Fault, dialect: str, request_id: str) -> tuple[bytes, bytes]:
    """(body, content type) of the answer. A provider's own body passes unchanged to a caller of its dialect."""
    family = family_of(dialect)
    if dialect == "gemini_interactions":
        return _interactions_body(fault), JSON
    if fault.body is not None and fault.family == family:
        return fault.body, fault.content_type or JSON
    if family == "gemini":
        return _ENCODER.encode({"error": google_error(fault)}), JSON
    answer: dict[str, Any]
    if family == "anthropic":
        answer = {"type": "error", "error": anthropic_error(fault)}
    else:
        answer = {"error": openai_error(fault)}
    if request_id:
        answer["request_id"] = request_id
    return _ENCODER.encode(answer), JSON


def _interactions_body(fault: Fault) -> bytes:
    """The same for Interactions, whose SDK wants a word as the code. A provider's body passes if it has that form."""
    if fault.body is not None and fault.family == "gemini":
        try:
            _WORDED.decode(fault.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # as generateContent says it, by a number
        else:
            return fault.body
    error = google_error(fault)
    told = {"code": error["status"].lower(), "message": error["message"]}
    return _ENCODER.encode({"error": told | {name: error[name] for name in fault.block_names}})


def fault_header(fault: Fault) -> bytes:
    """The block for `x-startline-error`: JSON in printable ASCII, on one line."""
    text = _ENCODER.encode(block(fault)).decode()
    if text.isascii():
        return text.encode().replace(b"\x7f", b"\\u007f")
    units = text.encode("utf-16-be")
    return b"".join(
        bytes(pair[1:]) if pair[0] == 0 and pair[1] < 0x7F else b"\\u%02x%02x" % (pair[0], pair[1])
        for pair in (units[at : at + 2] for at in range(0, len(units), 2))
    )


def _providers_own(fault: Fault, family: str) -> dict[str, Any]:
    """What the provider's own error says: all of it in its own dialect, the message alone in another."""
    if fault.body is None or not isinstance(fault, UpstreamFault):
        return {}
    try:
        answer = _ERROR.decode(fault.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    error = answer.get("error")
    if not isinstance(error, dict):
        return {}
    if fault.family == family:
        return error
    message = error.get("message")
    return {"message": message} if isinstance(message, str) and message else {}
