"""Who may ask the admin routes, how bodies are read and answers written. The rule: each route goes through `endpoint`.

A management key (`mk-sl-`) sees and changes its own organisation. The operator, who came over the Unix socket in the
data folder or runs in the same process, sees all. Faults have the same block as on the inference routes.
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from appliance.domain.errors import ApplianceFault, CallerFault, Fault
from appliance.domain.identity import ApiKey, Organisation
from appliance.domain.ids import request_id
from appliance.policy.address import Proxies
from appliance.request.answer import Gateway
from appliance.request.facts import fault_headers
from appliance.server.metrics import Metrics
from appliance.settings import Settings
from appliance.store.faults import NameTaken, UnknownRow
from appliance.store.open import Store
from appliance.wire.body import not_json
from appliance.wire.faults import fault_body

log = structlog.get_logger()

BODY_BYTES = 1024 * 1024
DEFAULT_ORGANISATION = "default"

S = TypeVar("S", bound=msgspec.Struct)


class Caller(msgspec.Struct, frozen=True):
    """Who asks: the operator (`key` None) or a management key of one organisation."""

    key: ApiKey | None

    @property
    def organisation_id(self) -> str | None:
        """The organisation that the caller is bound to; None: all."""
        return None if self.key is None else self.key.organisation_id

    @property
    def operator(self) -> bool:
        """Whether the caller owns the data folder."""
        return self.key is None


class Desk:
    """What the admin routes work on."""

    def __init__(self, gateway: Gateway, store: Store, metrics: Metrics, settings: Settings) -> None:
        self.gateway = gateway
        self.store = store
        self.metrics = metrics
        self.settings = settings
        self._proxies = Proxies(settings.trusted_proxies)
        self._started_s = time.monotonic()

    @property
    def uptime_s(self) -> int:
        """How long this has run, whatever was done to the wall clock."""
        return int(time.monotonic() - self._started_s)

    def now_unix_s(self) -> int:
        """Wall clock in seconds."""
        return int(time.time_ns() // 1_000_000_000)

    def identify(self, request: Request) -> Caller:
        """Who asks. Raises CallerFault."""
        if request.scope.get("state", {}).get("operator"):
            return Caller(None)
        headers: dict[bytes, bytes] = dict(reversed(request.scope["headers"]))
        peer = self._proxies.client(request.client.host if request.client else None, request.scope["headers"])
        keeper = self.gateway.doorkeeper
        return Caller(keeper.identify(headers.get, b"", peer, self.now_unix_s(), kind="management"))

    def organisation(self, caller: Caller, name: str | None = None) -> Organisation:
        """The organisation that a change is for: the caller's, the named one, or the first. Raises CallerFault."""
        known = self.store.organisations.list()
        if caller.organisation_id is not None:
            own = next(one for one in known if one.organisation_id == caller.organisation_id)
            if name not in (None, own.name, own.organisation_id):
                raise CallerFault("record_not_found", "There is no such organisation.")
            return own
        for one in known:
            if name in (None, one.name, one.organisation_id):
                return one
        raise CallerFault("record_not_found", "There is no such organisation.")

    async def ensure_organisation(self) -> None:
        """Make the default organisation where there is none yet."""
        if not self.store.organisations.list():
            await self.store.organisations.create(DEFAULT_ORGANISATION, now_unix_s=self.now_unix_s())


Handler = Callable[[Desk, Caller, Request], Awaitable[object]]
"""Answers with a value for JSON, or with a Response. Raises Fault, UnknownRow, NameTaken."""


def endpoint(desk: Desk, handler: Handler, status: int = 200) -> Callable[[Request], Awaitable[Response]]:
    """The Starlette endpoint of a handler."""

    async def respond(request: Request) -> Response:
        try:
            caller = desk.identify(request)
        except Fault as fault:
            desk.metrics.refused(fault.kind.code)
            return refusal(fault)
        try:
            result = await handler(desk, caller, request)
        except Fault as fault:
            return refusal(fault)
        except UnknownRow as fault:
            return refusal(CallerFault("record_not_found", str(fault)))
        except NameTaken as fault:
            return refusal(CallerFault("name_taken", str(fault)))
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as bug:  # noqa: BLE001 - logged, and answered with internal_error
            where = bug.__traceback__
            while where is not None and where.tb_next is not None:
                where = where.tb_next
            at = f"{where.tb_frame.f_code.co_qualname}:{where.tb_lineno}" if where else ""
            kind = type(bug).__name__  # its message could quote the request
            log.error("admin_request_failed", handler=handler.__name__, exception=kind, frame=at)
            return refusal(ApplianceFault("internal_error"))
        if isinstance(result, Response):
            return result
        return Response(msgspec.json.encode(result), status, media_type="application/json")

    return respond


def refusal(fault: Fault, dialect: str = "admin") -> Response:
    """A fault as an answer: the OpenAI envelope with our block, or that of another dialect."""
    named = request_id(time.time_ns() // 1000, secrets.token_bytes(7))
    body, kind = fault_body(fault, dialect, named)
    response = Response(body, fault.status, media_type=kind.decode())
    response.raw_headers += [*fault_headers(fault), (b"x-startline-request-id", named.encode())]
    return response


async def read_body(request: Request, form: type[S]) -> S:
    """The JSON body as a struct; an empty body is `{}`. Raises CallerFault."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > BODY_BYTES:
        raise CallerFault("request_too_large", "The body of an admin request is at most 1 MiB.")
    body = bytearray()
    async with aclosing(request.stream()) as stream:
        async for piece in stream:
            body += piece
            if len(body) > BODY_BYTES:
                raise CallerFault("request_too_large", "The body of an admin request is at most 1 MiB.")
    try:
        return msgspec.json.decode(bytes(body) or b"{}", type=form)
    except msgspec.ValidationError as wrong:
        raise CallerFault("bad_request", f"{wrong}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise not_json(wrong, bytes(body)) from None


def view(value: msgspec.Struct) -> dict[str, Any]:
    """A record as a JSON object by its fields' names, whatever form its type has in the archive."""
    told = {name: getattr(value, name) for name in value.__struct_fields__}
    return {
        name: view(one) if isinstance(one, msgspec.Struct) else msgspec.to_builtins(one) for name, one in told.items()
    }
