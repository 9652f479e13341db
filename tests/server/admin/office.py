"""Clients of the admin API for its tests: the operator's, and those of management keys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.rig import Rig, running


class Office:
    """A rig and its admin clients."""

    def __init__(self, rig: Rig, operator: httpx.AsyncClient, manager: httpx.AsyncClient) -> None:
        self.rig = rig
        self.operator = operator
        self.manager = manager

    async def ask(self, method: str, path: str, *, by: str = "operator", status: int = 200, **more: Any) -> Any:
        """One call below /admin/v1; asserts the status."""
        client: httpx.AsyncClient = getattr(self, by)
        answer = await client.request(method, f"/admin/v1/{path}", **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def refused(self, method: str, path: str, *, by: str = "operator", **more: Any) -> str:
        """One call that is refused: its code; asserts the block that every error has."""
        client: httpx.AsyncClient = getattr(self, by)
        answer = await client.request(method, f"/admin/v1/{path}", **more)
        error = answer.json()["error"]
        assert error["startline"]["status"] == answer.status_code >= 400
        assert error["startline"]["doc_url"] == f"/docs/errors#{error['code']}"
        return str(error["code"])


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Office]:
    """An office before a rig with one inference and one management key of the organisation `acme`."""
    async with running(operator=True, **settings) as rig:
        by_socket = httpx.AsyncHTTPTransport(uds=str(rig.folder / "socket"))
        bearer = {"authorization": f"Bearer {rig.management_token}"}
        async with (
            httpx.AsyncClient(transport=by_socket, base_url="http://startline", timeout=30) as operator,
            httpx.AsyncClient(base_url=rig.base_url, headers=bearer, timeout=30, trust_env=False) as manager,
        ):
            yield Office(rig, operator, manager)
