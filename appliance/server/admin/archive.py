"""Checks the archive. The rule: what it holds of other organisations is told to the operator alone."""

import trio
from starlette.requests import Request

from appliance.archive.reader import ArchiveReader
from appliance.server.admin.desk import Caller, Desk, view


async def verify_archive(desk: Desk, caller: Caller, _: Request) -> object:
    """GET /admin/v1/archive/verify: whether every frame of every segment is good; the operator is told of each."""
    found = await trio.to_thread.run_sync(ArchiveReader(desk.store.folder.archive).verify)
    if not caller.operator:
        return {"good": found.ok}
    return {
        "good": found.ok,
        "records": found.records,
        "missing": found.missing,
        "segments": [view(segment) for segment in found.segments],
    }
