"""The command as a whole: every command helps, with an example; statuses tell; it starts quickly."""

import subprocess
from collections.abc import Iterator

import click
import pytest

from appliance import __version__
from appliance.cli.main import startline
from tests.cli.terminal import COMMAND, Terminal


def commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*words, name))
    else:
        yield words, command


ALL = dict(commands(startline))
WANTED = """init serve demo simulator try models usage selftest
organisation/create organisation/list organisation/set key/change key/create key/list key/show key/rotate key/revoke
provider/add provider/list provider/profiles provider/set provider/test provider/remove
preset/list preset/add preset/change preset/remove archive/cat archive/verify
race/report race/replay race/simulate"""


def test_every_command_is_there() -> None:
    assert {"/".join(words) for words in ALL} == set(WANTED.split())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_helps_with_an_example_that_it_understands(terminal: Terminal, words: tuple[str, ...]) -> None:
    command = ALL[words]
    told = terminal.run(*words, "--help").stdout
    assert "Example: " in told and command.help
    example = (command.epilog or "").removeprefix("Example: ").split("; ")[0].split("| ")[-1]
    assert example.startswith("startline " + " ".join(words))
    known = {option for parameter in command.params for option in parameter.opts}
    used = {word for word in example.split() if word.startswith("--")}
    assert used <= known


def test_a_command_that_is_none_is_wrong_usage(terminal: Terminal) -> None:
    for words in (("nothing",), ("key",), ("key", "create"), ("serve", "--port", "x")):
        assert "Usage: startline" in terminal.run(*words, status=2).stderr


def test_the_version(terminal: Terminal) -> None:
    assert terminal.run("--version").stdout.strip() == f"startline, version {__version__}"


def test_helping_imports_nothing_heavy() -> None:
    code = (
        "import sys, appliance.cli.main\n"
        "print(sorted({'trio', 'httpx', 'apsw', 'starlette', 'hypercorn', 'rich.table', 'cryptography', 'structlog'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([COMMAND[0], "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_reader_that_goes_away_is_no_crash() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"'{COMMAND[0]}' -m appliance init --print-config | head -c 1"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
