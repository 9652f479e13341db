"""`startline organisation …`: make and list organisations, and set what their keys share."""

from typing import Any
from urllib.parse import quote

import click

from appliance.cli.operator import NONE, ask, given
from appliance.cli.output import moment, say_facts, say_json, say_table
from appliance.cli.place import Place, json_option, with_place

ORGANISATIONS = "/admin/v1/organisations"


def _show(organisation: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(organisation)
        return
    slots = organisation["race_slots"]
    say_facts(
        [
            ("id", organisation["organisation_id"]),
            ("name", organisation["name"]),
            ("start_within", organisation["start_within"] or "the setting"),
            ("start_target", organisation["start_target"] or "the setting"),
            ("finish_within", organisation["finish_within"] or "the setting"),
            ("race_slots", "the setting" if slots is None else slots),
            ("explore", "yes" if organisation["explore"] else "no"),
            ("created", moment(organisation["created_unix_s"])),
            *((f"alias {name}", model) for name, model in organisation["aliases"].items()),
        ]
    )


def _slots(_: object, __: object, text: str | None) -> int | str | None:
    if text is None or text == NONE:
        return text
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"{text!r} is neither a number nor none")
    return int(text)


def _aliases(_: object, __: object, given: tuple[str, ...]) -> dict[str, str | None] | None:
    pairs = [text.partition("=") for text in given]
    for name, equals, model in pairs:
        if not (name and equals and model):
            raise click.BadParameter("an alias is NAME=MODEL, or NAME=none")
    return {name: None if model == NONE else model for name, _, model in pairs} or None


_explore = click.option(
    "--explore/--no-explore", default=None, help="Whether a little is spent on learning how long tiers take."
)


@click.command(epilog="Example: startline organisation create acme --start-within 30s")
@with_place
@click.argument("name")
@click.option("--start-within", help="Used where a request and its key say nothing; default: the setting.")
@click.option("--start-target", metavar="SHARE", help="With which probability answers should start in time: 99%.")
@click.option("--finish-within", metavar="DURATION", help="Within what time the last byte should have come.")
@click.option("--race-slots", type=click.IntRange(0), help="Races at the same time; default: the setting.")
@_explore
@json_option
def create(place: Place, as_json: bool, **fields: Any) -> None:
    """Make an organisation; keys and providers are put into it with --organisation."""
    body = {name: value for name, value in fields.items() if value is not None}
    _show(ask(place, "POST", ORGANISATIONS, json=body, may_make=True), as_json)


@click.command(name="list", epilog="Example: startline organisation list")
@with_place
@json_option
def list_(place: Place, as_json: bool) -> None:
    """List the organisations, oldest first."""
    organisations = ask(place, "GET", ORGANISATIONS)["organisations"]
    if as_json:
        say_json(organisations)
        return
    say_table(
        ("id", "name", "start_within", ">race_slots", "created"),
        [
            (
                one["organisation_id"], one["name"], one["start_within"], one["race_slots"],
                moment(one["created_unix_s"]),
            )
            for one in organisations
        ],
    )  # fmt: skip


@click.command(name="set", epilog="Example: startline organisation set acme --start-within 20s --race-slots none")
@with_place
@click.argument("name")
@click.option("--start-within", metavar="WISH|none", help="Used where a request and its key say nothing.")
@click.option("--start-target", metavar="SHARE|none", help="With which probability answers should start in time.")
@click.option("--finish-within", metavar="DURATION|none", help="Within what time the last byte should have come.")
@click.option("--race-slots", metavar="N|none", callback=_slots, help="Races at the same time.")
@_explore
@click.option(
    "--alias", "aliases", metavar="NAME=MODEL|NAME=none", multiple=True, callback=_aliases, help="Its name of a model."
)
@json_option
def set_(place: Place, as_json: bool, name: str, **fields: Any) -> None:
    """Set what the keys of an organisation share, by its name or id; `none` means the setting of the same name."""
    body = given(fields)
    if not body:
        raise click.UsageError("say what to set, such as --start-within, --race-slots or --alias")
    _show(ask(place, "PATCH", f"{ORGANISATIONS}/{quote(name, safe='')}", json=body), as_json)


@click.group(commands=[create, list_, set_])
def organisation() -> None:
    """Organisations: create, list, set."""
