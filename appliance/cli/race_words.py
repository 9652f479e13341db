"""The figures of a report in words, the same on a terminal and on a page. The rule: a share comes with its bounds."""

from typing import TYPE_CHECKING

from appliance.cli.output import dollars, moment
from appliance.cli.race_view import saving

if TYPE_CHECKING:
    from appliance.policy.binomial import Share
    from appliance.policy.calibration import Report


def facts(found: "Report") -> list[tuple[str, str]]:
    """The figures that matter most, in words."""
    money, left = found.money, found.left_early
    paid = dollars(money.nanos) or ""
    ended = [("last bytes in time", told(found.ended))] if found.ended.count else []
    return [
        ("period (UTC)", f"{moment(found.since_unix_s)} to {moment(found.until_unix_s)}"),
        ("raced requests", f"{found.all.requests}" + (f", {left} ended by their callers before it" if left else "")),
        ("deadlines met", f"{told(found.all.met)}; the target was {percent(found.all.target, 2)} in the mean"),
        *ended,
        ("answered by the cheap rung", told(found.flex)),
        ("dearer rung asked", told(found.launched)),
        ("paid", f"{paid}; always default {dollars(money.default_nanos)}: {saving(money.nanos, money.default_nanos)}"),
        ("of that for losers", _part(money.losers_nanos, money.nanos)),
        ("of that to learn", _part(money.explored_nanos, money.nanos)),
        ("cost not known", f"{money.unknown} requests, which are in none of these sums"),
    ]


def percent(share: float, digits: int = 1) -> str:
    """A share as people read it."""
    return f"{share * 100:.{digits}f} %"


def bounds(share: "Share") -> str:
    """Between what bounds it lies."""
    return f"{share.low * 100:.2f} to {share.high * 100:.2f} %"


def told(share: "Share") -> str:
    """A share with its bounds."""
    if share.count == 0:
        return "none that can be judged"
    return f"{percent(share.share, 2)} of {share.count} ({bounds(share)})"


def _part(nanos: int, whole_nanos: int) -> str:
    return f"{dollars(nanos)} ({percent(nanos / whole_nanos, 2) if whole_nanos else '–'})"
