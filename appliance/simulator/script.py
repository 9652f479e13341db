"""A streamed answer as a list of steps, the common ground of the dialects and of the player that sends them.

Rule: a step is bytes ready to send plus what they mean; when each is sent is the player's business alone.
"""

from enum import Enum, auto
from typing import Any

import msgspec


class Phase(Enum):
    """What a step is to someone waiting for the answer to start."""

    PREAMBLE = auto()  # proves admission only
    OUTPUT = auto()  # proves that generation runs
    CONTENT = auto()  # content: counts as a token
    CLOSING = auto()  # after the content


class Step(msgspec.Struct, frozen=True):
    """One server-sent event; `tokens` is how many tokens the model generates before it can be sent."""

    phase: Phase
    data: bytes
    tokens: int = 0


class Script(msgspec.Struct, frozen=True):
    """A whole streamed answer, and what it says about usage (None: nothing)."""

    steps: tuple[Step, ...]
    usage: dict[str, Any] | None


def sse(value: object, event: str = "") -> bytes:
    """One server-sent event carrying a JSON value, with an `event:` line if the event has a name."""
    data = b"data: " + msgspec.json.encode(value) + b"\n\n"
    return f"event: {event}\n".encode() + data if event else data


def padding(text: str, index: int) -> str:
    """Obfuscation: characters that bring a delta to a multiple of 16, differing from one delta to the next."""
    size = 16 - len(text.encode()) % 16
    return "".join(chr(97 + (index * 7 + at * 11) % 26) for at in range(size))
