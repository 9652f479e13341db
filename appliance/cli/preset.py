"""`startline preset …`: models, and how they are to be asked, under names that callers use as `@preset/NAME`."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click

from appliance.cli.operator import ask, given
from appliance.cli.output import listed, say_facts, say_json, say_table
from appliance.cli.place import Place, json_option, with_place

PRESETS = "/admin/v1/presets"
Command = Callable[..., Any]


def _show(preset: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(preset)
        return
    says = ("model", "start_within", "start_target", "finish_within")
    steps = [(f"step {place}", step) for place, step in enumerate(preset["ladder"] or (), 1)]
    say_facts([("called as", f"@preset/{preset['name']}"), *((name, preset[name]) for name in says), *steps])


def _says(command: Command) -> Command:
    """The options that say what a preset is."""
    for option in (
        click.option("--finish-within", metavar="DURATION", help="The last byte should come within this."),
        click.option("--start-target", metavar="SHARE", help="With which probability it should start: 0.99 or 99%."),
        click.option("--start-within", metavar="WISH", help="A tier word or a duration such as 30s."),
        click.option(
            "--ladder",
            metavar="PROVIDER/MODEL[:TIER]",
            multiple=True,
            help="A step, the cheapest first; goes before any model. Repeatable.",
        ),
        click.option("--model", help="The model, with or without a provider before it."),
    ):
        command = option(command)
    return command


def _path(name: str, organisation: str | None) -> str:
    path = f"{PRESETS}/{quote(name, safe='')}"
    return path if organisation is None else f"{path}?organisation={quote(organisation, safe='')}"


_organisation = click.option("--organisation", help="Name or id; default: the first.")


@click.command(name="list", epilog="Example: startline preset list")
@with_place
@json_option
def list_(place: Place, as_json: bool) -> None:
    """List the presets, in the order of their names."""
    presets = ask(place, "GET", PRESETS)["presets"]
    if as_json:
        say_json(presets)
        return
    say_table(
        ("name", "model", "ladder", "start_within", "start_target", "finish_within"),
        [
            (
                one["name"], one["model"], listed(one["ladder"], "–"), one["start_within"], one["start_target"],
                one["finish_within"],
            )
            for one in presets
        ],
    )  # fmt: skip


@click.command(
    epilog="Example: startline preset add night --ladder openai/gpt-5.4:flex --ladder openai/gpt-5.4 --start-within 5m"
)
@with_place
@click.argument("name")
@_says
@_organisation
@json_option
def add(place: Place, as_json: bool, name: str, **fields: Any) -> None:
    """Make a preset, which callers then name as the model @preset/NAME."""
    _show(ask(place, "POST", PRESETS, json={"name": name, **given(fields)}, may_make=True), as_json)


@click.command(epilog="Example: startline preset change night --start-within 10m --ladder none")
@with_place
@click.argument("name")
@_says
@_organisation
@json_option
def change(place: Place, as_json: bool, name: str, organisation: str | None, **fields: Any) -> None:
    """Change what is named of a preset; `none` takes it away."""
    body = given(fields)
    if not body:
        raise click.UsageError("say what to change: --model, --ladder, --start-within, --start-target, --finish-within")
    _show(ask(place, "PATCH", _path(name, organisation), json=body), as_json)


@click.command(epilog="Example: startline preset remove night")
@with_place
@click.argument("name")
@_organisation
@json_option
def remove(place: Place, as_json: bool, name: str, organisation: str | None) -> None:
    """Remove a preset that no valid key has as its own."""
    removed = ask(place, "DELETE", _path(name, organisation))
    if as_json:
        say_json(removed)
    else:
        click.echo(f"{removed['removed']} is removed")


@click.group(commands=[list_, add, change, remove])
def preset() -> None:
    """Presets: list, add, change, remove."""
