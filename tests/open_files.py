"""A fixture for tests with sockets: what a test opened is closed when it ends."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Count the process's descriptors before and after."""
    before = _count()
    yield
    if _count() > before:
        gc.collect()
    assert _count() <= before, "a test left something open"  # fewer: what an earlier test left to the collector


def _count() -> int:
    return len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else 0
