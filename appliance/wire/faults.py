"""Faults as the caller sees them. The rule: the dialect's own envelope, and in it one block, the same everywhere.

A provider's error in the caller's dialect passes byte for byte; the block then travels in `x-startline-error`.
"""

from typing import Any, Final

import msgspec

from appliance.domain.errors import Fault, UpstreamFault

JSON: Final = b"application/json"
DOC_PATH: Final = "/docs/errors#"
_ENCODER = msgspec.json.Encoder()
_ERROR = msgspec.json.Decoder(dict[str, Any])

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
    if isinstance(fault, UpstreamFault) and fault.body is not None:
        error |= _providers_own(fault.body)
    error["startline"] = block(fault)
    return error


def fault_body(fault: Fault, dialect: str, request_id: str) -> tuple[bytes, bytes]:
    """(body, content type) of the answer. A provider's own body passes unchanged to a caller of its dialect."""
    if fault.body is not None and dialect.startswith("openai"):
        return fault.body, fault.content_type or JSON
    answer: dict[str, Any] = {"error": openai_error(fault)}
    if request_id:
        answer["request_id"] = request_id
    return _ENCODER.encode(answer), JSON


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


def _providers_own(body: bytes) -> dict[str, Any]:
    try:
        answer = _ERROR.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    error = answer.get("error")
    return error if isinstance(error, dict) else {}
