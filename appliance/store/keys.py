"""API keys as text: how they are made, read and checked. The rule: the secret is shown once and kept as a salted hash.

`sk-sl-` (inference) or `mk-sl-` (management), 12 base62 characters of public id, `-`, 43 of secret (256 bits), 6 of
CRC-32 over all before them. The checksum is for people and scanners: it tells a key that was cut short or mistyped
from one that is unknown. A fast hash is right for a secret of 256 random bits: there is nothing to guess.
"""

import hashlib
import hmac
import zlib

from appliance.domain.identity import KEY_PREFIXES, ApiKey, KeyKind
from appliance.domain.ids import BASE62, base62

PREFIX_CHARS = 6
PUBLIC_ID_CHARS = 12
SECRET_CHARS = 43
CHECKSUM_CHARS = 6
TOKEN_CHARS = PREFIX_CHARS + PUBLIC_ID_CHARS + 1 + SECRET_CHARS + CHECKSUM_CHARS
PUBLIC_ID_RANDOM_BYTES = 9
SECRET_RANDOM_BYTES = 32
SALT_BYTES = 16

_ID_END = PREFIX_CHARS + PUBLIC_ID_CHARS
_ALPHABET = frozenset(BASE62)
_PREFIX_OF = {kind: prefix for prefix, kind in KEY_PREFIXES.items()}
_NO_SALT = bytes(SALT_BYTES)
_NO_DIGEST = bytes(32)


class MalformedKey(ValueError):
    """The text is not an API key of ours: another prefix, or characters that no key has."""


class TruncatedKey(ValueError):
    """The text starts as a key of ours but its length or checksum is wrong: probably cut short or mistyped."""


def make_token(kind: KeyKind, random: bytes) -> tuple[str, str]:
    """A new key from at least 41 random bytes: its public id and the whole text."""
    if len(random) < PUBLIC_ID_RANDOM_BYTES + SECRET_RANDOM_BYTES:
        raise ValueError("a key needs 41 random bytes")
    public_id = base62(int.from_bytes(random[:PUBLIC_ID_RANDOM_BYTES], "big"), PUBLIC_ID_CHARS)
    secret = random[PUBLIC_ID_RANDOM_BYTES : PUBLIC_ID_RANDOM_BYTES + SECRET_RANDOM_BYTES]
    body = f"{_PREFIX_OF[kind]}{public_id}-{base62(int.from_bytes(secret, 'big'), SECRET_CHARS)}"
    return public_id, body + _checksum(body)


def parse_key(token: str) -> tuple[KeyKind, str]:
    """The kind and public id in a key's text, without looking at its checksum. Raises MalformedKey, TruncatedKey.

    For a key that is then not found, `check_token` tells whether it was mistyped.
    """
    kind = KEY_PREFIXES.get(token[:PREFIX_CHARS])
    if kind is None:
        raise MalformedKey("not an API key of Startline")
    if len(token) != TOKEN_CHARS or token[_ID_END] != "-":
        raise TruncatedKey("the API key is cut short or mistyped")
    return kind, token[PREFIX_CHARS:_ID_END]


def check_token(token: str) -> None:
    """Raise MalformedKey or TruncatedKey if the text cannot be a key that was ever given out."""
    parse_key(token)
    if not _ALPHABET.issuperset(token[PREFIX_CHARS:_ID_END] + token[_ID_END + 1 :]):
        raise MalformedKey("the API key has characters that no key has")
    if not hmac.compare_digest(_checksum(token[:-CHECKSUM_CHARS]), token[-CHECKSUM_CHARS:]):
        raise TruncatedKey("the API key is cut short or mistyped")


def digest(salt: bytes, token: str) -> bytes:
    """SHA-256 of the salt and the whole key: what is stored."""
    return hashlib.sha256(salt + token.encode("utf-8", "surrogatepass")).digest()


def verify(token: str, key: ApiKey | None) -> bool:
    """Whether `token` is the text of `key`, in constant time; an unknown id (None) costs the same and is False."""
    if key is None:
        hmac.compare_digest(digest(_NO_SALT, token), _NO_DIGEST)
        return False
    return hmac.compare_digest(digest(key.salt, token), key.digest)


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode("utf-8", "surrogatepass")), CHECKSUM_CHARS)
