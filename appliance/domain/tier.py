"""Service tiers, `start_within` and `start_target`: a tier word, or a duration and a probability. The rule: one
grammar, parsed here.

Grammar: `default`, `priority`, `auto`, `flex`; or `HHh-MMm-SSs` (two digits each); or `30s`, `1m30s`, `1h`;
or a number of seconds. A duration asks for a race: the answer starts within it, at the least cost.
"""

import re
from typing import Literal

import msgspec

TierWord = Literal["flex", "default", "priority", "auto"]
TIER_WORDS: frozenset[str] = frozenset({"flex", "default", "priority", "auto"})

_DASHED = re.compile(r"(\d\d)h-(\d\d)m-(\d\d)s", re.ASCII)
_COMPACT = re.compile(r"(?:(\d{1,3})h)?(?:(\d{1,4})m)?(?:(\d{1,5}(?:\.\d{1,3})?)s)?", re.ASCII)
_SECONDS = re.compile(r"\d{1,6}(?:\.\d{1,3})?", re.ASCII)
_NO_WISH = "start_within must be default, priority, auto, flex, or a duration such as 30s or 00h-01m-30s"
_PROBABILITY = re.compile(r"\d{0,2}(?:\.\d{1,6})?(?<=\d)", re.ASCII)


DEFAULT_TARGET = 0.99
LEAST_TARGET = 0.5
MOST_TARGET = 0.9999
"""A target is above the least, where promising would mean nothing, and at most the most, which no data could show."""


class Window(msgspec.Struct, frozen=True):
    """A race window: the answer should start within `seconds` of the last byte of the request.

    `target`: the probability with which it should. `finish_s`: its last byte should come within that; of a request that
    bounds its end alone `seconds` is the same.
    """

    seconds: float
    target: float = DEFAULT_TARGET
    finish_s: float | None = None


StartWithin = TierWord | Window


CANONICAL = {"fast": "priority", "standard": "default", "standard_only": "default", "on_demand": "default"}


def canonical_tier(word: str) -> str:
    """The tier a provider's word means: `fast` is OpenAI's newer name of `priority`, `standard` Google's of `default`.

    `standard_only` is how Anthropic is asked for no more than that. Source: OpenAI's fast-mode guide (2026-07-30),
    Google's priority-inference guide, Anthropic's page on service tiers.
    """
    return CANONICAL.get(word, word)


KNOWN_TIERS = TIER_WORDS | {
    "fast",
    "ultrafast",
    "scale",
    "standard",
    "standard_only",
    "on_demand",
    "performance",
    "reserved",
    "batch",
    "balanced",
}
OTHER_TIER = "(other)"


def recorded_tier(word: str | None) -> str | None:
    """A tier as a record may hold it: any word a provider is known to have, never a stranger's free text."""
    return word if word is None or word in KNOWN_TIERS else OTHER_TIER


def parse_start_within(value: object, least_s: float = 1.0, most_s: float = 900.0) -> StartWithin:
    """Read a `start_within` value (string or number). Raises ValueError with a sentence for the caller."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("start_within must be a tier word, a duration or a number of seconds")
    if isinstance(value, str):
        if value in TIER_WORDS:
            return value  # type: ignore[return-value]
        seconds = _duration(value)
    else:
        seconds = float(max(0, min(value, most_s + 1)))  # first: an integer may have more digits than any float
    if not least_s <= seconds <= most_s:
        raise ValueError(f"start_within must be between {least_s:g} and {most_s:g} seconds")
    return Window(seconds)


def parse_start_target(value: object) -> float:
    """Read a `start_target` value: a probability such as 0.99, or "99%". Raises ValueError with a sentence."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("start_target must be a probability such as 0.99, or a text such as 99%")
    if isinstance(value, str):
        text = value.strip()
        number = text.removesuffix("%").rstrip()
        if not _PROBABILITY.fullmatch(number):
            raise ValueError("start_target must be a probability such as 0.99, or a text such as 99%")
        target = round(float(number) / 100.0, 8) if text.endswith("%") else float(number)
    else:
        target = float(max(0, min(value, 1)))  # first: an integer may have more digits than any float
    if not LEAST_TARGET < target <= MOST_TARGET:
        raise ValueError(f"start_target must be above {LEAST_TARGET:g} and at most {MOST_TARGET:g}")
    return target


def parse_finish_within(value: object, least_s: float = 1.0, most_s: float = 3600.0) -> float:
    """Read a `finish_within` value, a duration as in `start_within`: seconds. Raises ValueError with a sentence."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("finish_within must be a duration or a number of seconds")
    if isinstance(value, str):
        seconds = _duration(value, "finish_within must be a duration such as 90s or 00h-01m-30s")
    else:
        seconds = float(max(0, min(value, most_s + 1)))
    if not least_s <= seconds <= most_s:
        raise ValueError(f"finish_within must be between {least_s:g} and {most_s:g} seconds")
    return seconds


def _duration(text: str, wrong: str = _NO_WISH) -> float:
    if found := _DASHED.fullmatch(text):
        hours, minutes, seconds = found.groups()
        return int(hours) * 3600.0 + int(minutes) * 60 + int(seconds)
    if _SECONDS.fullmatch(text):
        return float(text)
    found = _COMPACT.fullmatch(text)
    if found is None or not any(found.groups()):
        raise ValueError(wrong)
    hours, minutes, rest = found.groups()
    return int(hours or 0) * 3600.0 + int(minutes or 0) * 60 + float(rest or 0)


def start_within_text(value: StartWithin) -> str:
    """The value as a record or a listing shows it: the tier word, or seconds with an `s`."""
    return f"{value.seconds:g}s" if isinstance(value, Window) else value
