"""Which recorded races a command is about, and reading them: for `startline race report` and `race replay`."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from appliance.cli.durations import parse_moment
from appliance.cli.output import waiting
from appliance.cli.place import Place

if TYPE_CHECKING:
    from appliance.policy.recorded import Raced

F = TypeVar("F", bound=Callable[..., Any])


def which_races(last: int) -> Callable[[F], F]:
    """Add the options that choose races; `last`: how many at most, where nothing else is said."""

    def decorate(function: F) -> F:
        for option in (
            click.option("--last", type=click.IntRange(1), default=last, show_default=True, help="The newest so many."),
            click.option("--model", help="Model asked or dispatched."),
            click.option("--organisation", help="Name or id."),
            click.option("--until", metavar="TIME", help="As --since; exclusive."),
            click.option("--since", metavar="TIME", help="24h, 2026-01-31 or 2026-01-31T12:00:00Z."),
        ):
            function = option(function)
        return function

    return decorate


def read_races(
    place: Place, *, last: int, since: str | None, until: str | None, model: str | None, organisation: str | None
) -> "list[Raced]":
    """The races, oldest first. Raises click.ClickException, also where there are none."""
    from appliance.policy.recorded import raced
    from appliance.store.faults import StoreFault
    from appliance.store.races import Races
    from appliance.store.usage import UsageFilter

    now_unix_s = time.time_ns() / 1e9
    database = place.folder / "startline.db"
    if not database.exists():
        raise click.ClickException(f"there is nothing in {place.folder} yet: nothing has been served")
    try:
        with Races(database) as races:
            named = None
            if organisation is not None:
                named = races.organisation(organisation)
                if named is None:
                    raise click.ClickException(f"there is no organisation {organisation!r}")
            which = UsageFilter(
                organisation_id=named,
                since_unix_us=None if since is None else round(parse_moment(since, now_unix_s) * 1e6),
                until_unix_us=None if until is None else round(parse_moment(until, now_unix_s) * 1e6),
                model=model,
            )
            which = races.last(which, last)
            found = []
            with waiting(races.count(which), "reading") as step:
                for request, attempts in races.read(which):
                    race = raced(request, attempts)
                    if race is not None:
                        found.append(race)
                    step()
    except StoreFault as fault:
        raise click.ClickException(str(fault)) from None
    if not found:
        raise click.ClickException("no request with a deadline is recorded in that time: ask one with start_within")
    return sorted(found, key=lambda race: race.at_unix_s)
