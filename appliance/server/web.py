"""The web application of the ASGI lane: health, metrics, the admin API, and the inference routes as the reference."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from appliance.domain.errors import CallerFault
from appliance.server.admin.desk import refusal
from appliance.server.asgi_reply import InferenceApp
from appliance.server.docs import errors_page
from appliance.server.front import Front
from appliance.server.routes import PROBES, ours


async def healthz(_: Request) -> Response:
    """GET /healthz: that the process answers, and nothing else."""
    return Response("ok\n", media_type="text/plain")


async def probe(_: Request) -> Response:
    """What agents ask before their first call: that somebody is here."""
    return Response("startline\n", media_type="text/plain")


async def _unrouted(request: Request, _: Exception) -> Response:
    """404, or 405 with all methods that the path knows (Starlette would name those of its first route)."""
    near = [route for route in request.app.routes if isinstance(route, Route)]
    known = {
        method for route in near if route.matches(request.scope)[0] is not Match.NONE for method in route.methods or ()
    }
    if known:
        allow = ", ".join(sorted(known)).encode()
        return refusal(CallerFault("method_not_allowed", headers=((b"allow", allow),)))
    return refusal(CallerFault("route_not_found"))


class Owned(BaseRoute):
    """The paths of the fast lane, by the fast lane's own rule: Starlette's patterns stop at a line feed in a path."""

    def __init__(self, inference: InferenceApp) -> None:
        self._inference = inference

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the fast lane would answer."""
        if scope["type"] == "http" and ours(scope["raw_path"].partition(b"?")[0]):
            return Match.FULL, {}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the fast lane does."""
        await self._inference(scope, receive, send)


def build(front: Front, admin: Sequence[BaseRoute] = ()) -> Starlette:
    """The application. `admin`: the routes of server/admin/table.py."""
    application = Starlette(
        routes=[
            *(Route(path, probe) for _, path in PROBES),
            Route("/healthz", healthz),
            Route("/docs/errors", errors_page),
            *admin,
            Owned(InferenceApp(front)),
        ],
        exception_handlers={404: _unrouted, 405: _unrouted},
    )
    application.router.redirect_slashes = False  # it would send a client wherever its Host header says
    return application
