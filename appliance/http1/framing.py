"""How long is the body? Content-Length and Transfer-Encoding, for requests and responses alike.

The rule: one reading only (RFC 9112 section 6). Whatever two parsers could read differently is refused: both lengths,
a repeated length, a length that is not plain digits, a transfer coding other than a single `chunked`, any transfer
coding on HTTP/1.0.
"""

from collections.abc import Mapping

from appliance.http1.refusal import ProtocolRefusal

_LENGTH_DIGITS = 18  # below 2**63; no body comes near it


def body_framing(index: Mapping[bytes, bytes], http_1_1: bool, status: int) -> tuple[int | None, bool]:
    """`(content_length, chunked)` of a head whose framing headers are known not to repeat.

    `index` maps lower-case names to values; `status` is the refusal's for plain malformation (400 or 502).
    """
    coding = index.get(b"transfer-encoding")
    length = index.get(b"content-length")
    if coding is None:
        if length is None:
            return None, False
        if not length.isdigit() or len(length) > _LENGTH_DIGITS:
            raise ProtocolRefusal(status, "bad_framing", "content-length is not a plain decimal number")
        return int(length), False
    if length is not None:
        raise ProtocolRefusal(status, "bad_framing", "both content-length and transfer-encoding are present")
    if not http_1_1:
        raise ProtocolRefusal(status, "bad_framing", "transfer-encoding needs HTTP/1.1")
    if coding.lower() != b"chunked":
        raise _bad_coding(coding, status)
    return None, True


def _bad_coding(coding: bytes, status: int) -> ProtocolRefusal:
    """501 for a well-formed list of codings that we do not have (RFC 9112 section 6.1), else plain malformation."""
    names = [name.strip(b" \t") for name in coding.lower().split(b",")]
    if status == 400 and names[-1] == b"chunked" and names.count(b"chunked") == 1 and all(names):
        return ProtocolRefusal(501, "unsupported_transfer_encoding", "the only transfer coding here is chunked")
    return ProtocolRefusal(status, "bad_framing", "transfer-encoding is not a single chunked")
