"""Thought signatures as Google writes them: bytes in base64. The rule: what stands in the field is always base64.

Google's SDKs decode the field and write it again in the URL alphabet; so an own signature is read into the usual
alphabet, and a foreign seal goes in as the base64 of its stamp (see seals).
"""

import base64
import binascii
from typing import Final

from appliance.domain.chat import Seal
from appliance.wire.translation.seals import PREFIX, stamp, unstamp

HOME: Final = "gemini"
UNSIGNED: Final = "skip_thought_signature_validator"
"""What Google documents for a call that another model made; the second is its older spelling."""
NO_SIGNATURES: Final = frozenset({UNSIGNED, "context_engineering_is_the_way_to_go"})
_KIND: Final = "part"
_ALPHABET = str.maketrans("-_", "+/")
_MARK: Final = base64.b64encode(PREFIX.encode()).decode()[:20]


def usual(data: str) -> str:
    """Base64 of either alphabet in the usual one, padded."""
    plain = data.translate(_ALPHABET) if "-" in data or "_" in data else data
    return plain + "=" * (-len(plain) % 4)


def signature_of(seal: Seal) -> str:
    """What stands in `thoughtSignature`: an own signature as it is, a foreign seal stamped."""
    told = stamp(seal, HOME, (_KIND,))
    return base64.b64encode(told.encode()).decode() if told.startswith(PREFIX) else told


def seal_of(signature: str, call_id: str | None = None) -> Seal | None:
    """The seal in a `thoughtSignature`; None if it stands for none. An own one has kind `part`."""
    if signature in NO_SIGNATURES or not signature:
        return None
    data = usual(signature)
    if data in _USUAL_NONE:
        return None
    if data.startswith(_MARK):
        try:
            foreign = unstamp(base64.b64decode(data).decode())
        except (binascii.Error, UnicodeDecodeError):
            foreign = None
        if foreign is not None:
            return foreign
    return Seal(HOME, data, _KIND, call_id)


_USUAL_NONE: Final = frozenset(usual(word) for word in NO_SIGNATURES)
