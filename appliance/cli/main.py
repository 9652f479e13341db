"""The command `startline`. The rule: this file only gathers the commands; each has its own file."""

import sys

import click

from appliance import __version__
from appliance.cli.archive import archive
from appliance.cli.demo import demo
from appliance.cli.first_request import try_
from appliance.cli.init import init
from appliance.cli.key import key
from appliance.cli.models import models
from appliance.cli.provider import provider
from appliance.cli.selftest import selftest
from appliance.cli.serve import serve
from appliance.cli.simulator import simulator
from appliance.cli.usage import usage


@click.group(
    commands=[init, serve, demo, simulator, try_, key, provider, models, usage, archive, selftest],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
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
