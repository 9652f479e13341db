"""Identifiers: how they are made and how they look. The rule: time and random bytes come in as arguments.

A request id sorts by time of arrival, so an index on it is also an index on time.
"""

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(number: int, width: int) -> str:
    """`number` in base 62, left-padded with zeros to `width` characters (longer numbers keep their low digits)."""
    digits = []
    for _ in range(width):
        number, rest = divmod(number, 62)
        digits.append(BASE62[rest])
    return "".join(reversed(digits))


def request_id(unix_micros: int, random: bytes) -> str:
    """`req_` + 26 hexadecimal digits: 13 of Unix time in microseconds, 13 of the random bytes (at least 7)."""
    return f"req_{unix_micros:013x}{random[:7].hex()[:13]}"


def record_id(prefix: str, random: bytes) -> str:
    """`<prefix>_` + 12 base62 characters taken from at least 9 random bytes; for keys' and providers' rows."""
    return f"{prefix}_{base62(int.from_bytes(random[:9], 'big'), 12)}"
