"""The request line: method, target, version; and what a host looks like.

The rule: exactly one space between exactly three parts, and a target that has one reading (RFC 9112 section 3).
"""

from appliance.http1.buffer import without_line_ending
from appliance.http1.head import is_token
from appliance.http1.refusal import ProtocolRefusal

_HOST = b"abcdefghijklmnopqrstuvwxyz0123456789.:-ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_~%!$&'()*+,;="


def is_host(value: bytes) -> bool:
    """Whether `value` can be a Host or an authority without user information: not empty, only its legal bytes."""
    return bool(value) and not value.strip(_HOST)


def split_request_line(line: bytes) -> tuple[bytes, bytes, tuple[int, int]]:
    """Method, target and version of a request line with its line ending."""
    parts = without_line_ending(line, 400).split(b" ")
    if len(parts) != 3:
        raise ProtocolRefusal(400, "bad_request_line", "the request line is not method, target and version")
    method, target, version = parts
    if not is_token(method) or not target:
        raise ProtocolRefusal(400, "bad_request_line", "the request line is not method, target and version")
    if version == b"HTTP/1.1":
        return method, target, (1, 1)
    if version == b"HTTP/1.0":
        return method, target, (1, 0)
    if (
        len(version) == 8
        and version[:5] == b"HTTP/"
        and version[6:7] == b"."
        and (version[5:6] + version[7:]).isdigit()
    ):
        raise ProtocolRefusal(505, "unsupported_version", "only HTTP/1.1 and HTTP/1.0 are spoken here")
    raise ProtocolRefusal(400, "bad_request_line", "the request line does not end in an HTTP version")


def split_target(method: bytes, target: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Path, query and (absolute-form only) authority of a request target (RFC 9112 section 3.2)."""
    if method == b"CONNECT":
        raise ProtocolRefusal(501, "method_not_implemented", "this is no tunnel")
    if not target.isascii() or b"#" in target:
        raise ProtocolRefusal(400, "bad_target", "the request target holds an illegal byte")
    authority = None
    path = target
    if target[0] != 0x2F:
        if target == b"*":
            if method != b"OPTIONS":
                raise ProtocolRefusal(400, "bad_target", "only OPTIONS may ask for *")
            return target, b"", None
        scheme, separator, rest = target.partition(b"://")
        if not separator or scheme.lower() not in (b"http", b"https"):
            raise ProtocolRefusal(400, "bad_target", "the request target is neither a path nor an http URL")
        authority, slash, path = rest.partition(b"/")
        authority, mark, query = authority.partition(b"?")
        if mark:  # http://host?query/with/slash
            return b"/", query + slash + path, authority
        path = b"/" + path
    path, _, query = path.partition(b"?")
    return path, query, authority
