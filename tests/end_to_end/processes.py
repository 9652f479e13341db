"""Programs started as a user starts them: `startline simulator`, `startline serve` and the commands around them.

The rule: what was started is ended with SIGTERM, must then exit with 0, and must have written no traceback.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
READY_S = 30.0
STOP_S = 20.0
PAUSE_S = 0.01


def until(look: Callable[[], T | None], what: str, limit_s: float = 10.0) -> T:
    """The first result of `look` that is not None. Another process is waited for, hence the pauses and the limit."""
    end_s = time.monotonic() + limit_s
    while (found := look()) is None:
        if time.monotonic() > end_s:
            raise AssertionError(f"within {limit_s:g} s there was no {what}")
        time.sleep(PAUSE_S)
    return found


def environment(data_folder: Path, **more: str) -> dict[str, str]:
    """The environment of a user who has set the data folder, and when the dearer rung of a race is launched."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STARTLINE_")}
    for name in [name for name in kept if name.endswith("_API_KEY")] + ["CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"]:
        kept.pop(name, None)
    own = {"STARTLINE_DATA_FOLDER": str(data_folder), "HOME": str(data_folder.parent)}
    return kept | own | {"STARTLINE_RESERVE_S": "{ default = 5.0 }"} | more


class Program:
    """One running command of startline; its output goes to files."""

    def __init__(self, arguments: list[str], folder: Path, environ: dict[str, str]) -> None:
        self.name = arguments[0]
        self.out = folder / f"{self.name}.out"
        self.err = folder / f"{self.name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "appliance", *arguments],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def says(self, pattern: str) -> str:
        """The first group of `pattern` in what it writes, once it has written it."""

        def look() -> str | None:
            written = self.out.read_text("utf-8") + self.err.read_text("utf-8")
            found = re.search(pattern, written)
            if found is None and self.popen.poll() is not None:
                raise AssertionError(f"{self.name} ended with status {self.popen.returncode}:\n{written[-2000:]}")
            return found[1] if found is not None else None

        return until(look, f"{pattern} from {self.name}", READY_S)

    def stop(self) -> None:
        """End it and check how it ended."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            status = self.popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"{self.name} did not stop within {STOP_S:g} s of SIGTERM") from None
        written = self.err.read_text("utf-8")
        assert "Traceback" not in written, written
        assert '"level":"error"' not in written, written
        assert status == 0, f"{self.name} ended with status {status}:\n{written[-2000:]}"


@contextmanager
def program(arguments: list[str], folder: Path, environ: dict[str, str]) -> Iterator[Program]:
    """Run a command for the length of the block."""
    running = Program(arguments, folder, environ)
    try:
        yield running
    finally:
        running.stop()


def command(*arguments: str, environ: dict[str, str], given: str = "") -> str:
    """Run a command that ends by itself; its standard output. It must end with status 0."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance", *arguments],
        cwd=ROOT,
        env=environ,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"startline {arguments[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout
