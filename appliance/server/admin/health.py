"""How the process is. The rule: `/readyz` turns red before records cannot be kept, not after, and green by itself.

Records that were lost do not keep it red: they are counted, in the facts and in the metrics, for somebody to look at.
"""

import shutil
from typing import Any

import trio
from starlette.requests import Request
from starlette.responses import Response

from appliance import __version__
from appliance.server.admin.desk import Caller, Desk, view

FREE_SHARE = 0.05
FREE_BYTES = 256 * 1024 * 1024
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


async def _state(desk: Desk) -> tuple[list[str], dict[str, Any]]:
    """Why the process is not ready (nothing: it is), and the facts."""
    usage = await trio.to_thread.run_sync(shutil.disk_usage, desk.store.folder.path)
    counters = desk.store.ledger.counters
    reasons = []
    if not desk.store.ledger.available:
        reasons.append("store_unavailable")
    if usage.free < FREE_BYTES or usage.free < usage.total * FREE_SHARE:
        reasons.append("disk_nearly_full")
    return reasons, {
        "version": __version__,
        "uptime_s": desk.uptime_s,
        "disk_free_bytes": usage.free,
        "store": view(counters),
        "live_requests": len(desk.gateway.live),
    }


async def readiness(desk: Desk, _: Caller, __: Request) -> object:
    """GET /readyz: 200, or 503 and why."""
    reasons, _facts = await _state(desk)
    return Response(
        "ready\n" if not reasons else "\n".join(reasons) + "\n", 503 if reasons else 200, media_type="text/plain"
    )


async def exposition(desk: Desk, _: Caller, __: Request) -> object:
    """GET /metrics, in Prometheus' text format."""
    return Response(desk.metrics.exposition(), media_type=EXPOSITION)


async def show_health(desk: Desk, caller: Caller, _: Request) -> object:
    """GET /admin/v1/health: whether all is well, and the facts behind it."""
    reasons, facts = await _state(desk)
    keys = desk.store.api_keys.list(caller.organisation_id)
    providers = desk.store.providers.list(caller.organisation_id)
    answer = {"ready": not reasons, "reasons": reasons, "keys": len(keys), "providers": len(providers), **facts}
    if caller.operator:
        answer["organisations"] = len(desk.store.organisations.list())
        answer["data_folder"] = str(desk.store.folder.path)
    return answer
