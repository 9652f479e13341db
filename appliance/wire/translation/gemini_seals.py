"""Thought signatures as Google writes them: bytes in base64. The rule: what stands in the field is always base64.

Google's SDKs decode the field and write it again in the URL alphabet; so an own signature is read into the usual
alphabet, and a foreign seal goes in as the base64 of its stamp (see seals).
"""

import base64
import binascii
from typing import Final, Literal

from appliance.domain.chat import Seal
from appliance.wire.translation.seals import PREFIX, stamp, unstamp

HOME: Final = "gemini"
UNSIGNED: Final = "skip_thought_signature_validator"
"""What Google documents for a call that another model made; the second is its older spelling."""
NO_SIGNATURES: Final = frozenset({UNSIGNED, "context_engineering_is_the_way_to_go"})
Kind = Literal["part", "signature"]
"""In generateContent a signature signs a part, in Interactions the thought that it stands in."""
_ALPHABET = str.maketrans("-_", "+/")
_MARK: Final = base64.b64encode(PREFIX.encode()).decode()[:20]


def usual(data: str) -> str:
    """Base64 of either alphabet in the usual one, padded."""
    plain = data.translate(_ALPHABET) if "-" in data or "_" in data else data
    return plain + "=" * (-len(plain) % 4)


def signature_of(seal: Seal, kind: Kind = "part") -> str:
    """What stands in the field: an own signature (of that kind) as it is, any other seal stamped."""
    told = stamp(seal, HOME, (kind,))
    return base64.b64encode(told.encode()).decode() if told.startswith(PREFIX) else told


def seal_of(signature: str, call_id: str | None = None, kind: Kind = "part") -> Seal | None:
    """The seal in a `thoughtSignature`; None if it stands for none. An own one is of that kind."""
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
    return Seal(HOME, data, kind, call_id)


_USUAL_NONE: Final = frozenset(usual(word) for word in NO_SIGNATURES)
