"""Fixtures of the command line's tests."""

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.cli.terminal import Terminal


@pytest.fixture(autouse=True)
def _hooks() -> Iterator[None]:
    """Commands set the process's log up, once for all; here there are other tests after them."""
    root = logging.getLogger()
    handlers, level, shown = root.handlers[:], root.level, warnings.showwarning
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    warnings.showwarning = shown
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    structlog.reset_defaults()


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal on a data folder that does not exist yet."""
    for name in ("OPENAI_API_KEY", "STARTLINE_API_KEY", "STATE_DIRECTORY", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    return Terminal(tmp_path / "data")
