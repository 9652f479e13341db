"""Fixtures of the server's tests: a running rig, and a time limit for whatever waits on a socket."""

from collections.abc import AsyncIterator

import pytest
import trio

from tests.rig import Rig, running

LIMIT_S = 30.0


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """An appliance with a quick simulated provider."""
    with trio.fail_after(LIMIT_S):
        async with running() as started:
            yield started
