"""`startline provider …`: add, list, set, test and remove providers. The rule: a secret is never an argument."""

import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from appliance.cli.operator import ask
from appliance.cli.output import listed, remark, say_json, say_table
from appliance.cli.place import Place, json_option, with_place

PROVIDERS = "/admin/v1/providers"


def read_secret(file: Path | None, *, wanted: bool) -> str:
    """The provider's key: from a file, from standard input if that is no terminal, else from a prompt.

    Raises click.ClickException if none came: an unset variable must not make a provider without a key.
    """
    if not wanted:
        return ""
    if file is not None:
        secret = file.read_text("utf-8").strip()
    elif not sys.stdin.isatty():
        secret = sys.stdin.read().strip()
    else:
        secret = str(click.prompt("Key of the provider (not shown)", hide_input=True)).strip()
    if not secret:
        raise click.ClickException("no key came; for a provider that asks for none say --no-secret")
    return secret


def _words(_: object, __: object, text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())


def _headers(_: object, __: object, texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition(":") for text in texts]
    if any(not colon for _name, colon, _value in pairs):
        raise click.BadParameter("write --header 'Name: value'")
    return {name.strip(): value.strip() for name, _colon, value in pairs}


_organisation = click.option("--organisation", help="Name or id; default: the first.")


def _path(name: str) -> str:
    return f"{PROVIDERS}/{quote(name, safe='')}"


def _of(organisation: str | None) -> dict[str, str]:
    """The query that names an organisation."""
    return {} if organisation is None else {"organisation": organisation}


@click.command(epilog="Example: printenv OPENAI_API_KEY | startline provider add openai")
@with_place
@click.argument("name")
@click.option("--profile", help="Whose facts hold, such as groq; default: by the name.")
@click.option(
    "--kind", type=click.Choice(["openai", "openai_compatible", "anthropic", "gemini"]), help="Default: by the name."
)
@click.option("--base-url", help="Such as https://llm.example.com/v1; known by profile.")
@click.option("--tiers", callback=_words, help="Service tiers it has, such as flex,default,priority; known by profile.")
@click.option("--models", callback=_words, help="Its models, if it does not list them or not all.")
@click.option("--any-model", is_flag=True, help="Pass any model's name on, whatever it lists.")
@click.option("--price-as", help="Whose prices hold, such as openai.")
@click.option("--header", "headers", multiple=True, callback=_headers, help="Extra header to send. Repeatable.")
@click.option("--auth", help="Header of its key, such as api-key; bearer: Authorization.")
@click.option("--no-stream-options", is_flag=True, help="It refuses stream_options.")
@click.option(
    "--abort-billing", type=click.Choice(["free", "partial", "full"]), help="What it bills for an abandoned call."
)
@click.option("--public-only", is_flag=True, help="Connect to it at public addresses alone.")
@click.option("--proxy", help="HTTP proxy that it is behind, such as http://proxy.example:3128.")
@_organisation
@click.option("--secret-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="File with its key.")
@click.option("--no-secret", is_flag=True, help="It asks for no key.")
@json_option
def add(
    place: Place, as_json: bool, secret_file: Path | None, no_secret: bool, no_stream_options: bool, **fields: Any
) -> None:
    """Add a provider; its key comes from standard input, a file or a prompt."""
    body = {name: value for name, value in fields.items() if value not in (None, (), {}, False)}
    if fields["tiers"] is not None:
        body["tiers"] = fields["tiers"]
    if no_stream_options:
        body["stream_options"] = False
    body["secret"] = read_secret(secret_file, wanted=not no_secret and _asks_for_key(fields))
    answer = ask(place, "POST", PROVIDERS, json=body, may_make=True)
    if as_json:
        say_json(answer)
        return
    provider = answer["provider"]
    click.echo(f"{provider['name']} is added: {provider['base_url']}, tiers: {listed(provider['tiers'], 'none')}")
    _tell_check(answer)


def _asks_for_key(fields: dict[str, Any]) -> bool:
    """Whether the profile, if it is one that is shipped, says that there is a key."""
    from appliance.upstream.profile_files import shipped

    known = shipped().get(fields["profile"] or fields["name"])
    return known is None or known.key


def _tell_check(answer: dict[str, Any]) -> None:
    check, provider = answer["check"], answer["provider"]
    if check["ok"]:
        click.echo(f"it answers, and lists {check['models']} models")
    else:
        known = "" if provider["models"] else " Its models are not known: any name is passed on to it."
        remark(f"It could not be asked for its models ({check['code']}): {check['message']}{known}")


@click.command(name="list", epilog="Example: startline provider list")
@with_place
@click.option("--organisation", help="Name or id; default: all.")
@json_option
def list_(place: Place, as_json: bool, organisation: str | None) -> None:
    """List the providers, in the order in which they are asked."""
    providers = ask(place, "GET", PROVIDERS, params=_of(organisation))["providers"]
    if as_json:
        say_json(providers)
        return
    say_table(
        ("name", "kind", "base URL", "tiers", ">models", "key", "breakers"),
        [
            (
                one["name"], one["kind"], one["base_url"], listed(one["tiers"], "none"),
                "any" if one["models"] is None else len(one["models"]), "stored" if one["has_key"] else "none",
                listed([_breaker(each) for each in one["breakers"]] or None, "closed"),
            )
            for one in providers
        ],
    )  # fmt: skip


def _breaker(one: dict[str, Any]) -> str:
    """Such as `gpt-5.4/flex open 4 s`."""
    named = f"{one['model'] or '*'}/{one['tier'] or 'untiered'}"
    return f"{named} open {one['wait_s']:.0f} s" if one["state"] == "open" else f"{named} half open"


@click.command(epilog="Example: startline provider test openai")
@with_place
@click.argument("name")
@_organisation
@json_option
def test(place: Place, as_json: bool, name: str, organisation: str | None) -> None:
    """Ask a provider for its models, with the stored key; status 1 if it does not answer."""
    answer = ask(place, "POST", f"{_path(name)}/test", params=_of(organisation))
    if as_json:
        say_json(answer["check"])
    else:
        _tell_check(answer)
    if not answer["check"]["ok"]:
        sys.exit(1)


@click.command(epilog="Example: startline provider remove openai")
@with_place
@click.argument("name")
@_organisation
@json_option
def remove(place: Place, as_json: bool, name: str, organisation: str | None) -> None:
    """Forget a provider and its key; records keep its name."""
    answer = ask(place, "DELETE", _path(name), params=_of(organisation))
    if as_json:
        say_json(answer)
    else:
        click.echo(f"{answer['removed']} is removed")


@click.command(name="set", epilog="Example: startline provider set openai --key < new-key.txt")
@with_place
@click.argument("name")
@click.option("--base-url", help="Where it is now.")
@click.option("--tiers", callback=_words, help="Service tiers it has.")
@click.option("--models", callback=_words, help="Its models; `listed`: those that it lists.")
@click.option("--any-model", is_flag=True, help="Pass any model's name on, whatever it lists.")
@click.option("--price-as", help="Whose prices hold, such as openai.")
@click.option("--position", type=int, help="Its place in the order in which providers are asked.")
@click.option("--proxy", help="HTTP proxy that it is behind; an empty text: none.")
@click.option("--public-only/--any-address", default=None, help="Whether it must be at a public address.")
@_organisation
@click.option("--key", is_flag=True, help="Read a new key of it, from standard input or a prompt.")
@click.option("--secret-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="File with its key.")
@json_option
def set_(
    place: Place,
    as_json: bool,
    name: str,
    organisation: str | None,
    key: bool,
    secret_file: Path | None,
    **fields: Any,
) -> None:
    """Change a provider, its key too; what is not named stays as it is."""
    change = {name: value for name, value in fields.items() if value not in (None, False) or name == "public_only"}
    if fields["public_only"] is None:
        del change["public_only"]
    if change.get("models") == ("listed",):
        change["models"] = None
    if key or secret_file is not None:
        change["secret"] = read_secret(secret_file, wanted=True)
    if not change:
        raise click.UsageError("nothing to set: name at least one option")
    answer = ask(place, "PATCH", _path(name), json=change, params=_of(organisation))
    if as_json:
        say_json(answer)
    else:
        click.echo(f"{answer['name']} is set: {answer['base_url']}, tiers: {listed(answer['tiers'], 'none')}")


@click.command(epilog="Example: startline provider profiles")
@with_place
@json_option
def profiles(place: Place, as_json: bool) -> None:
    """List the families of providers that are known by name."""
    known = ask(place, "GET", "/admin/v1/profiles")["profiles"]
    if as_json:
        say_json(known)
        return
    say_table(
        ("name", "base URL", "tiers", "trains on data"),
        [(one["name"], one["base_url"], listed(one["tiers"], "none"), one["policy"]["trains"]) for one in known],
    )


@click.group(commands=[add, list_, set_, test, remove, profiles])
def provider() -> None:
    """Providers: add, list, set, test, remove, profiles."""
