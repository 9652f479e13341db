"""The web application of the ASGI lane: health, metrics, the admin API, and the inference routes as the reference."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from appliance.domain.errors import CallerFault
from appliance.server.admin.desk import refusal
from appliance.server.asgi_reply import InferenceApp
from appliance.server.docs import errors_page
from appliance.server.front import Front
from appliance.server.routes import OWNED


async def healthz(_: Request) -> Response:
    """GET /healthz: that the process answers, and nothing else."""
    return Response("ok\n", media_type="text/plain")


async def _unrouted(_: Request, fault: Exception) -> Response:
    status = fault.status_code if isinstance(fault, HTTPException) else 404
    allow = (fault.headers or {}).get("allow", "GET") if isinstance(fault, HTTPException) else "GET"
    if status == 405:
        return refusal(CallerFault("method_not_allowed", headers=((b"allow", allow.encode()),)))
    return refusal(CallerFault("route_not_found"))


def build(front: Front, admin: Sequence[BaseRoute] = ()) -> Starlette:
    """The application. `admin`: the routes of server/admin/table.py."""
    inference = InferenceApp(front)
    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/docs/errors", errors_page),
            *admin,
            *(Route(prefix.decode(), inference) for prefix in OWNED),  # else Starlette would redirect them to prefix/
            *(Mount(prefix.decode(), inference) for prefix in OWNED),
        ],
        exception_handlers={404: _unrouted, 405: _unrouted},
    )
