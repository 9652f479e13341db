"""What an attempt used, in tokens. The rule: a figure is known, estimated or unknown, and says which."""

from typing import Literal

import msgspec

Certainty = Literal["known", "estimated", "unknown"]


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """`input` includes `cached` and `cache_write`; `output` includes `reasoning`. None: not told.

    `cache_write_1h` is the part of `cache_write` that is kept for an hour; it costs more, and Anthropic alone tells it.
    The convention is OpenAI's; dialects that count otherwise are converted where they are read.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    certainty: Certainty = "unknown"
    cache_write_1h: int | None = None


UNKNOWN_TOKENS = Tokens()
NO_TOKENS = Tokens(0, 0, 0, 0, 0, "known")
