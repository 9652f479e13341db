"""Fixtures of the admin API's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.server.admin.office import Office, opened


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """A running server with its admin clients."""
    async with opened() as office:
        yield office
