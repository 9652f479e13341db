"""A running `startline serve` and a running simulator as processes of their own, for commands that speak to them."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.terminal import COMMAND

START_S = 30.0


class Running:
    """A child process and the files that it writes to."""

    def __init__(self, words: tuple[str, ...], folder: Path, environment: dict[str, str]) -> None:
        self.out, self.err = folder / f"{words[0]}.out", folder / f"{words[0]}.err"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("STARTLINE_", "OPENAI_"))}
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=clean | environment
            )

    def told(self, pattern: str) -> str:
        """The first group of a pattern, once the process has printed it. Raises AssertionError if it does not."""
        until_s = time.monotonic() + START_S
        while time.monotonic() < until_s:
            text = self.out.read_text(errors="replace") + self.err.read_text()
            if found := re.search(pattern, text):
                return found[1]
            assert self.process.poll() is None, text
            os.sched_yield()
        raise AssertionError(f"{pattern} was not printed: {self.err.read_text()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait: the exit status."""
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def running(folder: Path, *words: str, **environment: str) -> Iterator[Running]:
    """Run a command until the block ends; it is killed if it still runs then."""
    child = Running(words, folder, environment)
    try:
        yield child
    finally:
        if child.process.poll() is None:
            child.process.kill()
            child.process.wait(30)
