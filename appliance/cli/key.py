"""`startline key …`: make, list, show, change, rotate and revoke API keys."""

import time
from typing import Any

import click

from appliance.cli.durations import parse_duration_s
from appliance.cli.operator import ask, given
from appliance.cli.output import listed, moment, remark, say_facts, say_json, say_table
from appliance.cli.place import Place, json_option, with_place

KEYS = "/admin/v1/keys"


def _facts(key: dict[str, Any]) -> list[tuple[str, object]]:
    return [
        ("id", key["id"]),
        ("name", key["name"]),
        ("kind", key["kind"]),
        ("state", key["state"]),
        ("created", moment(key["created_unix_s"])),
        ("expires", moment(key["expires_unix_s"]) or "never"),
        ("start_within", key["start_within"] or "the organisation's"),
        ("start_target", key["start_target"] or "the organisation's"),
        ("finish_within", key["finish_within"] or "the organisation's"),
        ("preset", key["preset"] or "none"),
        ("ladder", listed(key["ladder"], "none")),
        ("models", listed(key["models"])),
        ("addresses", listed(key["addresses"])),
        ("priority", "allowed" if key["priority"] else "not in races"),
    ]


def _show_new(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(made)
        return
    click.echo(made["key"])
    remark(f"\nThis is the only time that the key is shown. Its id is {made['id']}.")


@click.command(name="create", epilog="Example: startline key create --name laptop --start-within 30s")
@with_place
@click.option("--name", required=True, help="What the key is for.")
@click.option("--management", is_flag=True, help="A key for the admin API (mk-sl-…), which cannot run inference.")
@click.option("--expires-in", metavar="DURATION", help="Such as 12h or 90d; default: never.")
@click.option("--start-within", help="Used where a request says nothing: a tier word or a duration such as 30s.")
@click.option("--start-target", metavar="SHARE", help="With which probability answers should start in time: 99%.")
@click.option("--finish-within", metavar="DURATION", help="Within what time the last byte should have come.")
@click.option("--preset", help="The preset of requests that name none.")
@click.option(
    "--ladder", metavar="PROVIDER/MODEL[:TIER]", multiple=True, help="A step for all requests, the cheapest first."
)
@click.option("--model", "models", multiple=True, help="Allow this model only; `*` stands for anything. Repeatable.")
@click.option("--address", "addresses", multiple=True, help="Allow this address or network only. Repeatable.")
@click.option("--priority", is_flag=True, help="Let races climb to the priority tier.")
@click.option(
    "--started-at", type=click.Choice(["output", "content"]), default="output", help="What counts as started."
)
@click.option("--organisation", help="Name or id; default: the first.")
@json_option
def create(place: Place, as_json: bool, management: bool, expires_in: str | None, **fields: Any) -> None:
    """Make a key and show it, once."""
    body = {name: value for name, value in fields.items() if value not in (None, ())}
    if management:
        body["kind"] = "management"
    if expires_in is not None:
        body["expires_unix_s"] = time.time_ns() // 1_000_000_000 + round(parse_duration_s(expires_in))
    _show_new(ask(place, "POST", KEYS, json=body, may_make=True), as_json)


@click.command(name="list", epilog="Example: startline key list --json")
@with_place
@click.option("--all", "show_all", is_flag=True, help="Revoked and expired keys too.")
@json_option
def list_(place: Place, as_json: bool, show_all: bool) -> None:
    """List the keys."""
    keys = [key for key in ask(place, "GET", KEYS)["keys"] if show_all or key["state"] == "valid"]
    if as_json:
        say_json(keys)
        return
    say_table(
        ("id", "name", "kind", "state", "key", "created", "expires", "start_within", "models"),
        [
            (
                key["id"], key["name"], key["kind"], key["state"], key["shown"], moment(key["created_unix_s"]),
                moment(key["expires_unix_s"]), key["start_within"], listed(key["models"]),
            )
            for key in keys
        ],
    )  # fmt: skip


@click.command(epilog="Example: startline key show laptop")
@with_place
@click.argument("key")
@json_option
def show(place: Place, as_json: bool, key: str) -> None:
    """Show one key, by its id or name; never its secret."""
    found = ask(place, "GET", f"{KEYS}/{_quoted(key)}")
    if as_json:
        say_json(found)
    else:
        say_facts(_facts(found))


@click.command(epilog="Example: startline key change laptop --start-within 20s --preset none")
@with_place
@click.argument("key")
@click.option("--start-within", metavar="WISH|none", help="Used where a request says nothing.")
@click.option("--start-target", metavar="SHARE|none", help="With which probability answers should start in time.")
@click.option("--finish-within", metavar="DURATION|none", help="Within what time the last byte should have come.")
@click.option("--preset", metavar="NAME|none", help="The preset of requests that name none.")
@click.option(
    "--ladder", metavar="PROVIDER/MODEL[:TIER]|none", multiple=True, help="A step, the cheapest first. Repeatable."
)
@json_option
def change(place: Place, as_json: bool, key: str, **fields: Any) -> None:
    """Change how the requests of a key are served; `none` takes a word away."""
    body = given(fields)
    if not body:
        raise click.UsageError(
            "say what to change: --start-within, --start-target, --finish-within, --preset, --ladder"
        )
    changed = ask(place, "PATCH", f"{KEYS}/{_quoted(key)}", json=body)
    if as_json:
        say_json(changed)
    else:
        say_facts(_facts(changed))


@click.command(epilog="Example: startline key rotate laptop --grace 1h")
@with_place
@click.argument("key")
@click.option(
    "--grace",
    "grace_text",
    metavar="DURATION",
    default="0s",
    help="How long the old key stays valid; default: not at all.",
)
@json_option
def rotate(place: Place, as_json: bool, key: str, grace_text: str) -> None:
    """Make a new key with the settings of an old one, which it replaces."""
    body = {"grace_s": round(parse_duration_s(grace_text))}
    _show_new(ask(place, "POST", f"{KEYS}/{_quoted(key)}/rotate", json=body), as_json)


@click.command(epilog="Example: startline key revoke laptop")
@with_place
@click.argument("key")
@json_option
def revoke(place: Place, as_json: bool, key: str) -> None:
    """Revoke a key, at once: requests in work end too."""
    revoked = ask(place, "POST", f"{KEYS}/{_quoted(key)}/revoke")
    if as_json:
        say_json(revoked)
    else:
        click.echo(f"{revoked['id']} ({revoked['name']}) is revoked")


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


@click.group(commands=[create, list_, show, change, rotate, revoke])
def key() -> None:
    """API keys: create, list, show, change, rotate, revoke."""
