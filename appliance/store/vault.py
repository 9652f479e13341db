"""Encrypts providers' credentials. The rule: plaintext exists only in the caller's hands, made anew for each call.

AES-256-GCM (NIST SP 800-38D), the key of each row derived from the master key by HKDF-SHA256 (RFC 5869) with a random
salt. The associated data binds a ciphertext to its organisation, provider and row, so that it cannot be moved to
another. `key_id` says which master key sealed a row, so that keys can be rotated.
"""

import hmac
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.domain.errors import ApplianceFault

SALT_BYTES = 16
NONCE_BYTES = 12


class Sealed(msgspec.Struct, frozen=True):
    """A credential as the database keeps it."""

    key_id: str
    salt: bytes
    nonce: bytes
    ciphertext: bytes

    def __repr__(self) -> str:
        return f"Sealed(key_id={self.key_id!r})"


class Opener:
    """Decrypts one sealed credential on each call. Holds the row's derived key, as the vault holds the master key."""

    __slots__ = ("_associated", "_cipher", "_ciphertext", "_nonce")

    def __init__(self, cipher: AESGCM, nonce: bytes, ciphertext: bytes, associated: bytes) -> None:
        self._cipher = cipher
        self._nonce = nonce
        self._ciphertext = ciphertext
        self._associated = associated

    def __call__(self) -> str:
        """The credential. Raises ApplianceFault("vault_locked") if it was sealed otherwise or for another row."""
        try:
            return self._cipher.decrypt(self._nonce, self._ciphertext, self._associated).decode()
        except InvalidTag:
            raise ApplianceFault("vault_locked") from None


class Vault:
    """Seals and opens with one master key of 32 bytes."""

    __slots__ = ("_master", "key_id")

    def __init__(self, master_key: bytes) -> None:
        self._master = master_key
        self.key_id = self._derive(b"", b"startline key id", 8).hex()

    def check_value(self, salt: bytes) -> bytes:
        """What the database keeps to recognise this master key by."""
        return self._derive(salt, b"startline key check", 32)

    def matches(self, salt: bytes, check_value: bytes) -> bool:
        """Whether a check value was made with this master key."""
        return hmac.compare_digest(self.check_value(salt), check_value)

    def seal(
        self, plaintext: str, *, organisation_id: str, provider_id: str, row: str, random: Callable[[int], bytes]
    ) -> Sealed:
        """Encrypt a credential for one row; takes SALT_BYTES and NONCE_BYTES from `random`."""
        salt, nonce = random(SALT_BYTES), random(NONCE_BYTES)
        cipher = AESGCM(self._row_key(salt))
        associated = _associated(organisation_id, provider_id, row)
        return Sealed(self.key_id, salt, nonce, cipher.encrypt(nonce, plaintext.encode(), associated))

    def opener(self, sealed: Sealed, *, organisation_id: str, provider_id: str, row: str) -> Opener:
        """What decrypts `sealed` when called. Raises ApplianceFault("vault_locked") if another master key sealed it."""
        if sealed.key_id != self.key_id:
            raise ApplianceFault("vault_locked")
        cipher = AESGCM(self._row_key(sealed.salt))
        return Opener(cipher, sealed.nonce, sealed.ciphertext, _associated(organisation_id, provider_id, row))

    def _row_key(self, salt: bytes) -> bytes:
        return self._derive(salt, b"startline row", 32)

    def _derive(self, salt: bytes, info: bytes, length: int) -> bytes:
        return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(self._master)


def _associated(organisation_id: str, provider_id: str, row: str) -> bytes:
    return f"startline\0{organisation_id}\0{provider_id}\0{row}".encode()
