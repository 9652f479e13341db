"""`startline simulator`: a provider that plays OpenAI, to test one's own clients with."""

from pathlib import Path

import click

from appliance.cli.output import say_json
from appliance.cli.place import json_option


@click.command(epilog="Example: startline simulator --port 9000 --world realistic --time-scale 0.1")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=9900, show_default=True, help="Port; 0: a free one.")
@click.option("--world", default="demo", show_default=True, help="A built-in world: demo, instant, realistic.")
@click.option("--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A world in a TOML file.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides every draw and every word.")
@click.option(
    "--time-scale",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="0.1: ten times as fast.",
)
@json_option
def simulator(host: str, port: int, world: str, file: Path | None, seed: int, time_scale: float, as_json: bool) -> None:
    """Play a provider with service tiers over real HTTP, until SIGINT or SIGTERM."""
    from functools import partial

    import msgspec

    from appliance.cli.operator import perform
    from appliance.simulator.command import choose, describe, facts, run

    try:
        chosen = choose(world, file)
    except KeyError:
        raise click.BadParameter(f"there is no built-in world {world!r}", param_hint="--world") from None
    except (OSError, msgspec.DecodeError) as fault:
        raise click.ClickException(f"{file}: {fault}") from None
    try:
        say = partial(facts if as_json else describe, chosen)
        perform(
            partial(
                run,
                chosen,
                host=host,
                port=port,
                seed=seed,
                time_scale=time_scale,
                tell=lambda base_url: say_json(say(base_url)) if as_json else click.echo(say(base_url)),
            )
        )
    except OSError as fault:
        raise click.ClickException(f"cannot listen on {host}:{port}: {fault.strerror}") from None
