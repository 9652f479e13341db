"""The web application of the ASGI lane: health, metrics, the admin API, and the inference routes as the reference."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from appliance.server.asgi_reply import InferenceApp
from appliance.server.front import Front
from appliance.server.metrics import Metrics
from appliance.server.routes import OWNED


def build(front: Front, metrics: Metrics) -> Starlette:
    """The application."""

    async def healthz(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    inference = InferenceApp(front)
    return Starlette(
        routes=[
            Route("/healthz", healthz),
            *(Mount(prefix.decode(), inference) for prefix in OWNED),
        ]
    )
