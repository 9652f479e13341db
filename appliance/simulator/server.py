"""The simulated provider: listeners, connections, routes.

Rule: a broken client never takes the server down: each connection runs in a guard that counts and names what went
wrong; whatever a client can make large is bounded. Unsent requests are not in the journal, every complete one is.
"""

import ssl
import time
from typing import Any, Final

import h11
import msgspec
import trio

from appliance.simulator.answering import Answering
from appliance.simulator.connection import Connection, Gone, Headers, Request, TooLarge
from appliance.simulator.dialect import Family, Route
from appliance.simulator.faults import FAULTS, Fault, Rejected
from appliance.simulator.headers import forbidden
from appliance.simulator.journal import Entry, Journal
from appliance.simulator.player import Broken
from appliance.simulator.routes import find
from appliance.simulator.world import World

_MAX_BODY_BYTES: Final = 64 * 1024 * 1024


class Simulator:
    """One simulated provider. `time_scale` turns simulated seconds into seconds of trio's clock (0.01: 10 s take
    100 ms); `seed` decides every draw and every word. `journal` says what happened.
    """

    def __init__(
        self,
        world: World,
        *,
        seed: int = 0,
        time_scale: float = 1.0,
        ssl_context: ssl.SSLContext | None = None,
        max_connections: int = 20_000,
    ) -> None:
        self.world = world
        self.time_scale = time_scale
        self.journal = Journal()
        self.base_url = ""  # known once `serve` has started
        self.began = 0.0  # trio's clock when `serve` began: the zero of the journal's times
        self._began_wall = 0.0
        self._ssl_context = ssl_context
        self._max_connections = max_connections
        self._open = 0
        self._answering = Answering(world, self.journal, seed=seed, time_scale=time_scale)

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; reports the base URL (`http://127.0.0.1:PORT/v1`). Port 0: a free one."""
        listeners = await trio.open_tcp_listeners(port, host=host)
        self.began = trio.current_time()
        self._began_wall = time.time_ns() / 1e9
        self._answering.began = self.began
        scheme = "http" if self._ssl_context is None else "https"
        shown = f"[{host}]" if ":" in host else host
        self.base_url = f"{scheme}://{shown}:{listeners[0].socket.getsockname()[1]}/v1"
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self._connected, listeners)
            task_status.started(self.base_url)

    async def _connected(self, transport: trio.SocketStream) -> None:
        """One connection, from accept to close; contains everything but cancellation."""
        if self._open >= self._max_connections:
            await trio.aclose_forcefully(transport)
            return
        self._open += 1
        self.journal.connections += 1
        stream: trio.abc.Stream = transport
        if self._ssl_context is not None:
            stream = trio.SSLStream(transport, self._ssl_context, server_side=True, https_compatible=True)
        connection = Connection(stream, transport, self.journal.connections, _MAX_BODY_BYTES)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.watch)
                await self._requests(connection)
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, Gone, h11.RemoteProtocolError):
            self.journal.broken_requests += 1
        except* Exception as group:  # noqa: BLE001  # told in the journal; one client must not end the server
            self.journal.errors.append(_names(group))
        finally:
            self._open -= 1
            await connection.close()

    async def _requests(self, connection: Connection) -> None:
        while True:
            try:
                request = await connection.next_request()
            except TooLarge:
                await self._early_error(connection, FAULTS["too_large"])
                return
            except h11.RemoteProtocolError:
                self.journal.broken_requests += 1
                await self._early_error(connection, FAULTS["invalid_request"])
                return
            if request is None:
                return
            try:
                await self._one(connection, request)
            except Broken as broken:
                await connection.close(reset=broken.reset)
                return
            if connection.gone:
                return

    async def _early_error(self, connection: Connection, fault: Fault) -> None:
        """Tell the client what was wrong with a request that was not read to its end."""
        if connection.can_answer:
            headers = [("content-type", fault.content_type), ("connection", "close")]
            await connection.respond(fault.status, headers, fault.body())

    async def _one(self, connection: Connection, request: Request) -> None:
        """One request under a scope that the client's end cancels."""
        path, _, _ = request.target.partition("?")
        if path == "/_journal":
            await self._tell_journal(connection, request)
            return
        route = find(request)
        betas = request.header("anthropic-beta")
        entry = Entry(
            sequence=self.journal.next_sequence(),
            connection=connection.number,
            request_on_connection=connection.requests,
            method=request.method,
            path=path,
            arrived_s=trio.current_time() - self.began,
            body_bytes=len(request.body),
            headers=[name for name, _ in request.headers],
            forbidden=forbidden(request.headers, {}, route.family.CREDENTIALS, request.target),
            family=route.family.NAME,
            betas=[beta.strip() for beta in betas.split(",")] if betas else [],
        )
        self.journal.add(entry)
        try:
            with trio.CancelScope() as scope:
                connection.scope = scope
                if connection.gone:
                    scope.cancel()
                await self._route(connection, request, entry, route)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            connection.gone = True  # seen by writing, before the reader saw it
        finally:
            connection.scope = None
            if entry.outcome == "open":
                entry.outcome = "client_gone" if connection.gone else "cut"
                entry.ended_s = trio.current_time() - self.began
            if connection.gone:
                entry.gone_s = trio.current_time() - self.began
            self.journal.changed()

    async def _route(self, connection: Connection, request: Request, entry: Entry, route: Route) -> None:
        try:
            route.family.check(request)
            if route.kept is not None:
                now = trio.current_time()
                kind, told = self._answering.kept.answer(request.method, *route.kept, request.query(), now)
                common = route.family.headers(f"req_sim{entry.sequence}", 0.001, "default")
                await self._plain(connection, entry, 200, [("content-type", kind), *common], told, completed=True)
                return
            if route.models is not None:
                await self._models(connection, request, entry, route.family, route.models)
                return
            await self._answering.answer(connection, request, entry, route)
        except Rejected as rejected:
            await self._reject(connection, entry, route, rejected.fault)

    async def _reject(self, connection: Connection, entry: Entry, route: Route, fault: Fault) -> None:
        entry.fault = fault.code or fault.type
        request_id = f"req_sim{entry.sequence}"
        headers = [("content-type", fault.content_type), *route.family.headers(request_id, 0.001, "default")]
        await self._plain(connection, entry, fault.status, headers, route.error(fault, "", request_id), completed=False)

    async def _models(self, connection: Connection, request: Request, entry: Entry, family: Family, name: str) -> None:
        if request.method != "GET":
            raise Rejected(family.FAULTS["method_not_allowed"])
        if name and self.world.find(name, family.NAME) is None:
            raise Rejected(family.FAULTS["model_not_found"])
        entry.model = name
        told = family.model(name) if name else family.models(self.world.names(family.NAME), request.query())
        common = [*family.headers(f"req_sim{entry.sequence}", 0.001, "default"), *family.limits()]
        body = msgspec.json.encode(told)
        await self._plain(connection, entry, 200, [("content-type", "application/json"), *common], body, completed=True)

    async def _plain(
        self, connection: Connection, entry: Entry, status: int, headers: Headers, body: bytes, *, completed: bool
    ) -> None:
        await connection.respond(status, headers, body)
        entry.status = status
        entry.head_s = entry.ended_s = trio.current_time() - self.began
        entry.outcome = "completed" if completed else "refused"

    async def _tell_journal(self, connection: Connection, request: Request) -> None:
        """GET /_journal tells it, DELETE /_journal forgets it; neither needs a key nor is itself in the journal."""
        if request.method == "DELETE":
            self.journal.clear()
            await connection.respond(200, [("content-type", "application/json")], b"{}")
            return
        told: dict[str, Any] = {"time_scale": self.time_scale, "began_wall_s": self._began_wall}
        body = msgspec.json.encode(told | self.journal.to_builtins())
        await connection.respond(200, [("content-type", "application/json")], body)


def _names(group: BaseExceptionGroup[Exception]) -> str:
    """The types in a group, without their messages (these may hold what a client sent)."""
    names: list[str] = []
    todo: list[BaseException] = [group]
    while todo:
        error = todo.pop()
        if isinstance(error, BaseExceptionGroup):
            todo.extend(error.exceptions)
        else:
            names.append(type(error).__name__)
    return ", ".join(names)
