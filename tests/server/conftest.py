"""Fixtures of the server's tests: a running rig."""

from collections.abc import AsyncIterator

import pytest

from tests.rig import Rig, running


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """An appliance with a quick simulated provider."""
    async with running() as started:
        yield started
