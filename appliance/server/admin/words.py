"""What a key, a preset or an organisation says of how requests are served. The rule: nothing is stored that could not
be used.

The words are those of a request: `start_within`, `start_target`, `finish_within` and `ladder` (docs/routes.md).
"""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta

from appliance.domain.errors import CallerFault
from appliance.domain.ladder import MOST_STEPS, ladder_texts, parse_ladder
from appliance.domain.tier import TIER_WORDS, parse_finish_within, parse_start_target, parse_start_within
from appliance.server.admin.desk import Desk

Text = Annotated[str, Meta(min_length=1, max_length=200)]
Target = Annotated[float, Meta(gt=0, lt=1)] | Text
Ladder = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=512)], ...], Meta(max_length=MOST_STEPS)]


def checked_words(desk: Desk, organisation_id: str, given: Mapping[str, Any], before: object = None) -> dict[str, Any]:
    """What is given of these words, as it is stored: a target as a number, an empty ladder as none.

    `before`: what they are given to, for those that stay as they are. Raises CallerFault.
    """
    settings = desk.settings
    least_s = settings.start_within_least_s
    told = {name: value for name, value in given.items() if name in _WORDS and value is not UNSET}
    try:
        if told.get("start_within") is not None:
            parse_start_within(told["start_within"], least_s, settings.start_within_most_s)
        if told.get("start_target") is not None:
            told["start_target"] = parse_start_target(told["start_target"])
        if told.get("finish_within") is not None:
            parse_finish_within(told["finish_within"], least_s, settings.finish_within_most_s)
        steps = parse_ladder(told["ladder"]) if told.get("ladder") else None
    except ValueError as wrong:
        raise CallerFault("bad_request", f"{wrong}.") from None
    if "ladder" in told:
        told["ladder"] = None if steps is None else ladder_texts(steps)
    routing = desk.gateway.planner.routing(organisation_id) if steps else None
    for place, step in enumerate(steps or (), 1):
        if routing is not None:
            routing.step(step, place)
    start, finish = (told.get(name, getattr(before, name, None)) for name in ("start_within", "finish_within"))
    if start in TIER_WORDS and finish is not None:
        raise CallerFault("bad_request", "A tier word as start_within has no deadline: finish_within needs a duration.")
    return told


_WORDS = frozenset({"start_within", "start_target", "finish_within", "ladder"})
