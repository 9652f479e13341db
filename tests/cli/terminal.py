"""Runs the command line in this process, as a script would: no terminal, a data folder of its own."""

import sys
from pathlib import Path
from typing import Any

import msgspec
from click.testing import CliRunner, Result

from appliance.cli.main import startline


class Terminal:
    """Runs commands on one data folder; `environment` is what they see of STARTLINE_ variables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str | None] = {"STARTLINE_DATA_FOLDER": str(folder)}

    def run(self, *words: str, stdin: str = "", status: int = 0) -> Result:
        """Run a command; asserts its status, and that it failed with a sentence if it failed."""
        result = CliRunner().invoke(startline, words, input=stdin, env=self.environment, prog_name="startline")
        told = f"{words}: {result.exit_code}\n{result.stdout}\n{result.stderr}\n{result.exception!r}"
        assert result.exit_code == status, told
        assert result.exception is None or isinstance(result.exception, SystemExit), told
        return result

    def json(self, *words: str, stdin: str = "", status: int = 0) -> Any:
        """Run a command with --json: what it printed."""
        return msgspec.json.decode(self.run(*words, "--json", stdin=stdin, status=status).stdout)


COMMAND = (sys.executable, "-m", "appliance")
