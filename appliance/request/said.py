"""What is said of how a request is to be served, by itself and elsewhere. The rule: each of start_within, start_target,
finish_within and ladder is taken by itself, from the first that says it.

The order: the request, the preset that it names, its key, the key's preset, the organisation, the setting. A request
that names a preset does not use its key's.

What ties them: a tier word asks for a tier of the model that was named, and for no deadline. So a `finish_within`
counts beside a tier word only where it was said nearer to the request than the word (the answer then should start
within the same time), and a ladder only where the word was not said nearer than it.
"""

from collections.abc import Callable

import msgspec

from appliance.domain.errors import CallerFault
from appliance.domain.ladder import Step
from appliance.domain.tier import DEFAULT_TARGET, TIER_WORDS, StartWithin, Window, parse_start_target
from appliance.wire.dialect import Asked
from appliance.wire.routing_fields import parse_any_finish, told

HeaderGetter = Callable[[bytes], bytes | None]


class Said(msgspec.Struct, frozen=True):
    """What one place says; None: nothing. Of a window in `start` only the seconds count.

    `beyond`: it named times that are outside of the limits as they are set now.
    """

    start: StartWithin | None = None
    target: float | None = None
    finish_s: float | None = None
    ladder: tuple[Step, ...] | None = None
    beyond: bool = False


def resolve(said: tuple[Said, ...], longest_start_s: float) -> tuple[StartWithin, tuple[Step, ...] | None]:
    """The wish and the ladder that hold, from what was said, the nearest to the request first.

    `longest_start_s` bounds the start of a request that bounds its end alone.
    """
    start: StartWithin | None = None
    target = finish_s = ladder = None
    started_at = finished_at = ladder_at = len(said)
    for place, one in enumerate(said):
        if start is None and one.start is not None:
            start, started_at = one.start, place
        if finish_s is None and one.finish_s is not None:
            finish_s, finished_at = one.finish_s, place
        if ladder is None and one.ladder is not None:
            ladder, ladder_at = one.ladder, place
        target = one.target if target is None else target
    target = DEFAULT_TARGET if target is None else target
    if isinstance(start, Window):
        return Window(start.seconds if finish_s is None else min(start.seconds, finish_s), target, finish_s), ladder
    if finish_s is not None and finished_at < started_at:
        return Window(min(finish_s, longest_start_s), target, finish_s), ladder
    if started_at < ladder_at:
        ladder = None
    return start or "default", ladder


def said_by(asked: Asked, get: HeaderGetter) -> Said:
    """What the request itself says; its body goes before its headers. Raises CallerFault."""
    options, start = asked.options, asked.start_within
    target, finish_s = options.target, options.finish_s
    if target is None and (header := get(b"x-start-target")) is not None:
        target = told("start_target", header.decode("latin-1"), parse_start_target)
    if finish_s is None and (header := get(b"x-finish-within")) is not None:
        finish_s = told("finish_within", header.decode("latin-1").strip(), parse_any_finish)
    if asked.service_tier is not None:
        start = asked.service_tier if asked.service_tier in TIER_WORDS else None  # type: ignore[assignment]
    elif options.ladder is not None and options.chain:
        raise CallerFault("invalid_ladder", "Send ladder or provider, not both.", param="ladder")
    elif isinstance(start, str) and finish_s is not None:
        raise CallerFault("invalid_finish_within", param="finish_within")
    elif isinstance(start, str) and start != "default" and options.ladder is not None:
        told_s = "The steps of a ladder name their tiers: leave start_within out, or give a duration."
        raise CallerFault("invalid_ladder", told_s, param="start_within")
    return Said(start, target, finish_s, options.ladder)
