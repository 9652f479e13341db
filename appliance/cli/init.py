"""`startline init`: make a data folder with its keys and its file of settings, without serving."""

import time

import click

from appliance.cli.output import say_json
from appliance.cli.place import CONFIG_FILE, Place, json_option, with_place


@click.command(epilog="Example: startline init --data-folder ./startline-data")
@with_place
@click.option("--print-config", is_flag=True, help="Only print a startline.toml with every setting at its default.")
@json_option
def init(place: Place, print_config: bool, as_json: bool) -> None:
    """Make the data folder, the master key, the first API keys and startline.toml."""
    from appliance.cli.operator import opened, perform
    from appliance.settings import print_config as config_text

    if print_config:
        click.echo(config_text(), nl=False)
        return

    async def run() -> dict[str, str]:
        from appliance.cli.first_start import first_keys

        async with opened(place) as appliance:
            return await first_keys(appliance.store, time.time_ns() // 1_000_000_000)

    keys = perform(run)
    config = place.folder / CONFIG_FILE
    written = not config.exists()
    if written:
        config.write_text(config_text(), "utf-8")
    if as_json:
        say_json({"data_folder": str(place.folder), "config": str(config), "keys": keys})
        return
    click.echo(f"data folder  {place.folder}")
    click.echo(f"settings     {config}{'' if written else ' (was there already)'}")
    if keys:
        click.echo(f"\nThe first keys. They are shown once:\n  inference   {keys['inference']}")
        click.echo(f"  management  {keys['management']}")
    else:
        click.echo("keys         there are some already: startline key list")
    click.echo("\nNext: startline provider add openai, then startline serve")
