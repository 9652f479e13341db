"""`startline race replay`: what another deadline or target would have cost and met on this installation's records."""

from typing import TYPE_CHECKING, Any

import click

from appliance.cli.output import remark, say_facts, say_json, waiting
from appliance.cli.place import Place, json_option, with_place
from appliance.cli.race_read import read_races, which_races

if TYPE_CHECKING:
    from appliance.policy.backtest.bounds import Backtest, Bounds
    from appliance.policy.backtest.replay import Wish

MOST_RACES = 5_000
WARM_UP = 0.25
"""The share of the requests, the oldest, that only teach: the engine knew something when they began, too."""


@click.command("replay", epilog="Example: startline race replay --start-within 20s --target 99%")
@with_place
@which_races(MOST_RACES)
@click.option("--start-within", metavar="DURATION", help="The other deadline, such as 20s; default: as was asked.")
@click.option("--target", metavar="SHARE", help="The other target, such as 0.99 or 99%; default: as was asked.")
@click.option("--rounds", type=click.IntRange(39, 999), default=119, show_default=True, help="More: steadier bounds.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same answer.")
@json_option
def race_replay(
    place: Place,
    as_json: bool,
    start_within: str | None,
    target: str | None,
    rounds: int,
    seed: int,
    **which: Any,
) -> None:
    """Show what another deadline or target would have cost and met, by playing the recorded races again.

    Of each request each tier's time is as it was seen; what was not seen is drawn from what was, in each round anew,
    and the rounds' spread is the interval of 95 %. The oldest quarter of the requests is not judged: it only teaches.
    """
    from random import Random

    import msgspec

    from appliance.policy.backtest.bounds import play, told
    from appliance.policy.backtest.cases import Cases
    from appliance.policy.backtest.replay import Wish

    wish = Wish(_window_s(start_within), _target(target))
    if wish == Wish():
        raise click.UsageError("say what would be other: --start-within, --target or both")
    races = read_races(place, **which)
    cases = Cases(races, races[int(len(races) * WARM_UP)].at_unix_s)
    played = []
    try:
        with waiting(rounds, "playing") as step:
            for one in play(cases, wish, rounds, lambda nth: Random(f"{seed} {nth}").random):
                played.append(one)
                step()
    except ValueError as fault:
        raise click.ClickException(str(fault)) from None
    found = told(cases, wish, played)
    if as_json:
        say_json(msgspec.to_builtins(found) | {"wish": msgspec.to_builtins(wish), "sentence": sentence(found, wish)})
        return
    click.echo(sentence(found, wish))
    click.echo()
    say_facts(_facts(found))
    for text in _cannot(found):
        remark(text)


def sentence(found: "Backtest", wish: "Wish") -> str:
    """The answer in one sentence."""
    parts = []
    low_s, high_s = found.windows_s
    was = f"{low_s:g} s" if low_s == high_s else f"{low_s:g} to {high_s:g} s"
    if wish.window_s is not None:
        parts.append(f"{wish.window_s:g} s instead of {was}")
    if wish.target is not None:
        parts.append(f"a target of {wish.target * 100:g} %")
    met = f"met {_range(found.met.low * 100, found.met.high * 100)}"
    if not found.nanos:
        return f"with {' and '.join(parts)} you would have {met} of the deadlines; no costs are known"
    return f"with {' and '.join(parts)} you would have paid {_more(found.cost)} and {met} of the deadlines"


def _more(cost: "Bounds") -> str:
    low, high = (cost.low - 1.0) * 100, (cost.high - 1.0) * 100
    if low >= 0.0:
        return f"{_range(low, high)} more"
    if high <= 0.0:
        return f"{_range(-high, -low)} less"
    return f"between {-low:.1f} % less and {high:.1f} % more"


def _range(low: float, high: float) -> str:
    digits = 1 if high < 10.0 or low > 90.0 else 0
    shown = f"{low:.{digits}f}", f"{high:.{digits}f}"
    return f"{shown[0]} %" if shown[0] == shown[1] else f"{shown[0]} to {shown[1]} %"


def _facts(found: "Backtest") -> list[tuple[str, object]]:
    default = found.default_nanos / found.nanos if found.nanos else None
    return [
        ("requests", f"{found.requests} judged, {found.left_out} left out"),
        ("deadlines met", f"{found.was_met * 100:.2f} % then, {_percents(found.met)} so"),
        ("dearer rung asked", f"{found.was_launched * 100:.1f} % then, {_percents(found.launched)} so"),
        (
            "cost by what was paid",
            f"{found.cost.low:.3f} to {found.cost.high:.3f}, {found.cost.middle:.3f} in the middle",
        ),
        ("always default", None if default is None else f"{default:.3f} of what was paid"),
        ("times that were drawn", f"{found.drawn:.2f} a request"),
        ("rounds", found.rounds),
    ]


def _percents(bounds: "Bounds") -> str:
    return f"{bounds.low * 100:.2f} to {bounds.high * 100:.2f} % ({bounds.middle * 100:.2f} in the middle)"


def _cannot(found: "Backtest") -> list[str]:
    """What the records do not tell."""
    told = []
    if found.beyond > 0.0:
        told.append(
            f"Too few cheap attempts were watched beyond {found.support_s:.1f} s: of {found.beyond * 100:.0f} % of the "
            "requests it had to be supposed how long they would have taken. The bounds hold for all of them starting "
            "right there, for none ever starting, and for what is usual; longer deadlines, or exploration, would tell."
        )
    if found.left_out:
        told.append(
            f"{found.left_out} requests are left out: one tier alone, other rungs, a deadline on the last byte, the "
            "caller's fault, or a caller who left."
        )
    told.append(
        "Supposed: the dearer tier takes as long when asked earlier; providers bear the same load, and change slowly."
    )
    return told


def _window_s(text: str | None) -> float | None:
    from appliance.domain.tier import Window, parse_start_within

    if text is None:
        return None
    try:
        found = parse_start_within(text)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--start-within") from None
    if not isinstance(found, Window):
        raise click.BadParameter("is a duration here, such as 20s", param_hint="--start-within")
    return found.seconds


def _target(text: str | None) -> float | None:
    from appliance.domain.tier import parse_start_target

    if text is None:
        return None
    try:
        return parse_start_target(text)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--target") from None
