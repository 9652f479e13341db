"""What a first start makes: the default organisation and the first keys. The rule: a terminal sees them, a log never.

Without a terminal they are written to `first-keys.txt` (mode 0600) in the data folder, and the log has its path.
"""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from appliance.domain.identity import KeyKind
    from appliance.store.open import Store

ORGANISATION = "default"


async def first_keys(store: "Store", now_unix_s: int) -> dict[str, str]:
    """Make the default organisation and, where there is no key at all, one key of each kind: their texts by kind."""
    known = store.organisations.list()
    owner = known[0] if known else await store.organisations.create(ORGANISATION, now_unix_s=now_unix_s)
    if store.api_keys.list():
        return {}
    made: dict[str, str] = {}
    kinds: tuple[KeyKind, ...] = ("inference", "management")
    for kind in kinds:
        _, made[kind] = await store.api_keys.create(
            owner.organisation_id,
            kind,
            f"first {kind} key",
            now_unix_s=now_unix_s,
        )
    return made


def hand_over(
    store: "Store", keys: dict[str, str], tell: Callable[..., object], *, terminal: bool | None = None
) -> None:
    """Show the first keys on the terminal, or write them to the file and tell its path. Raises OSError."""
    from appliance.store.folder import write_private

    if not keys:
        return
    if sys.stdout.isatty() if terminal is None else terminal:
        click.echo("\nThe first keys. They are shown once:")
        click.echo(f"  inference   {keys['inference']}")
        click.echo(f"  management  {keys['management']}\n")
        return
    path = store.folder.first_keys
    path.unlink(missing_ok=True)
    text = "# Made at the first start. Move them to a safe place and delete this file.\n"
    text += "".join(f"{kind:<10} {key}\n" for kind, key in keys.items())
    write_private(path, text.encode())
    tell(str(path))


def found_in_environment(store: "Store", environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """(provider, variable) of each provider key in the environment whose provider is not configured."""
    from appliance.upstream.profile_files import shipped

    known = {provider.name for provider in store.providers.list()}
    return [
        (name, profile.variable)
        for name, profile in shipped().items()
        if profile.variable and environment.get(profile.variable) and name not in known
    ]
