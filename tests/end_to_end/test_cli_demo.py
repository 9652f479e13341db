"""The commands that the demo prints are pasted and run, as a new user does first."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.live import running

pytestmark = [pytest.mark.sockets, pytest.mark.slow]


def paste(command: str) -> str:
    """What a shell prints for a command; `python3` is the one that has the SDK."""
    folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "NO_PROXY": "*"}
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_command_that_is_printed_works(tmp_path: Path) -> None:
    with running(tmp_path, "demo") as demo:
        demo.told(r"(a Responses stream)\ncurl")
        demo.told(r"\n(1  flex is quick)")
        commands = re.split(r"\n# .*\n", demo.out.read_text().partition("\n1  flex")[0])[1:]
        assert len(commands) == 3
        chat, python, responses = commands
        if shutil.which("curl") is None:
            pytest.skip("not run: there is no curl")
        told = paste(chat)
        assert told.startswith("HTTP/1.1 200 OK") and "x-startline-reason: flex_won" in told
        assert '"service_tier":"flex"' in told
        assert re.match(r"default \S+", paste(python)), "flex is slow, so that default answers within 5 s"
        told = paste(responses)
        assert "event: response.created" in told and "event: response.completed" in told
