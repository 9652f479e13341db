"""The command `startline`. The rule: this file only gathers the commands; each has its own file."""

import sys

import click

from appliance import __version__
from appliance.cli import (
    archive,
    demo,
    first_request,
    init,
    key,
    models,
    organisation,
    preset,
    provider,
    race,
    selftest,
    serve,
    simulator,
    usage,
)

COMMANDS: tuple[click.Command, ...] = (
    demo.demo,
    init.init,
    serve.serve,
    first_request.try_,
    organisation.organisation,
    key.key,
    provider.provider,
    preset.preset,
    models.models,
    usage.usage,
    archive.archive,
    race.race,
    selftest.selftest,
    simulator.simulator,
)


@click.group(commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="startline")
def startline() -> None:
    """Startline: answers start within your deadline, at the least cost.

    `startline demo` shows it without keys or internet. Status: 0 done, 1 failed, 2 wrong usage.
    """


def main() -> None:
    """Run the command line."""
    try:
        startline(prog_name="startline")
    except BrokenPipeError:
        sys.exit(1)
