"""A provider's bytes as UTF-8. The rule: what translation reads is UTF-8, so what it carries and writes is too.

Servers that cut text between bytes send halves of characters. Where bytes pass untouched that is the client's affair;
here each wrong sequence reads as U+FFFD, as the WHATWG HTML standard has every stream of events decoded (9.2.6).
"""


def as_utf8(data: bytes) -> bytes:
    """`data` with what is no UTF-8 as U+FFFD; the very same bytes if all is well."""
    if data.isascii():
        return data
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return str(data, "utf-8", "replace").encode()
    return data
