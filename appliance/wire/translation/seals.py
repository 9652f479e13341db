"""Seals of one provider carried through another's dialect. The rule: a seal comes home unchanged, or not at all.

A dialect that has a field for opaque reasoning (Anthropic's `signature`, OpenAI's `encrypted_content`, Gemini's
`thoughtSignature`) holds its own provider's seals as they are. A foreign seal is stamped: its JSON in base64 (URL
alphabet) behind a prefix that no provider uses. Chat's `reasoning_details` tell the home by `format`.
"""

import base64

import msgspec

from appliance.domain.chat import Seal

PREFIX = "startline.seal.1."

_ENCODER = msgspec.json.Encoder()
_SEAL = msgspec.json.Decoder(Seal)


def stamp(seal: Seal, home: str, kinds: tuple[str, ...]) -> str:
    """What stands in the field of a dialect whose own provider is `home` and whose field holds these kinds."""
    if seal.home == home and seal.kind in kinds:
        return seal.data
    return PREFIX + base64.urlsafe_b64encode(_ENCODER.encode(seal)).decode().rstrip("=")


def unstamp(text: str) -> Seal | None:
    """The foreign seal that stands in a field; None: it is the dialect's own (or was tampered with)."""
    if not text.startswith(PREFIX):
        return None
    code = text[len(PREFIX) :]
    try:
        return _SEAL.decode(base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)))
    except (ValueError, msgspec.DecodeError):
        return None
