"""Talks to the admin routes of the running server, or of the appliance opened in this process: the same routes.

A server that runs answers on the Unix socket in the data folder. If none does, the folder is locked and opened here,
and the same application is called without a socket, marked as the operator's.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from appliance.cli.place import Place

if TYPE_CHECKING:
    import httpx

    from appliance.app import Appliance

T = TypeVar("T")
ORIGIN = "http://startline"
ANSWER_S = 60.0
NONE = "none"


class Refused(click.ClickException):
    """The admin API answered with a fault; `code` is the fault's."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """The options of a command that were given, as the body of a request; `none` takes a word away."""
    told = {name: value for name, value in fields.items() if value not in (None, ())}
    return {name: None if value in (NONE, (NONE,)) else value for name, value in told.items()}


def perform(function: Callable[..., Awaitable[T]], *arguments: object) -> T:
    """Run an async function to its end; what it raises comes out as it was, out of the groups of nurseries."""
    import trio

    try:
        return trio.run(function, *arguments)
    except BaseExceptionGroup as group:
        leaf = _leaf(group)
        if leaf is not None:
            raise leaf from None
        raise


def _leaf(group: BaseException) -> BaseException | None:
    """The one exception in a group (of those for the user, if there are any); None if there are several."""
    while isinstance(group, BaseExceptionGroup):
        told = [one for one in group.exceptions if isinstance(one, click.ClickException)] or group.exceptions
        if len(told) > 1 and told is group.exceptions:
            return None
        group = told[0]
    return group


@asynccontextmanager
async def operator(
    place: Place, timeout_s: float = ANSWER_S, *, may_make: bool = False
) -> "AsyncIterator[httpx.AsyncClient]":
    """A client of the admin (and inference) routes. Raises click.ClickException when neither way works.

    `may_make`: whether a data folder is made where there is none; else that is said, and nothing is made.
    """
    import httpx

    if not (may_make or place.exists()):
        raise click.ClickException(
            f"there is nothing in {place.folder} yet: `startline serve` or `startline provider add openai` begins "
            "there, --data-folder names another place"
        )

    transport = httpx.AsyncHTTPTransport(uds=str(place.socket()), trust_env=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=timeout_s) as client:
        try:
            await client.get("/healthz", timeout=5.0)
        except httpx.TimeoutException:
            raise click.ClickException(f"The server of {place.folder} does not answer.") from None
        except httpx.TransportError:
            pass
        else:
            yield client
            return
    async with opened(place) as appliance:
        inside = httpx.ASGITransport(app=as_operator(appliance), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=inside, base_url=ORIGIN, timeout=timeout_s) as client:
            yield client


@asynccontextmanager
async def opened(place: Place, **overrides: object) -> "AsyncIterator[Appliance]":
    """The appliance of a data folder, without listeners. Raises click.ClickException with what is to be done."""
    from appliance.app import open_appliance
    from appliance.services.log import set_up
    from appliance.settings import SettingsFault
    from appliance.store.faults import FolderLocked, StoreFault

    settings = place.settings(**overrides)
    set_up("error", cache=False)
    async with AsyncExitStack() as stack:
        try:
            appliance = await stack.enter_async_context(open_appliance(settings, place.folder))
        except FolderLocked:
            raise click.ClickException(
                f"{place.folder} is in use: by a server, which has made all that there is to make, or by one that is "
                "starting or stopping and does not answer on its socket"
            ) from None
        except (StoreFault, SettingsFault) as fault:
            raise click.ClickException(str(fault)) from None
        except OSError as fault:
            raise click.ClickException(f"{place.folder}: {fault.strerror}") from None
        yield appliance


def as_operator(appliance: "Appliance") -> Callable[..., Awaitable[None]]:
    """The appliance's application as it is for whoever owns the data folder."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await appliance.application({**scope, "state": {"operator": True}}, receive, send)

    return application


async def asked(client: "httpx.AsyncClient", method: str, path: str, **more: Any) -> Any:
    """One admin call: the decoded answer. Raises Refused."""
    import httpx

    try:
        answer = await client.request(method, path, **more)
    except httpx.TransportError as fault:
        raise click.ClickException(f"The server did not answer: {type(fault).__name__}.") from None
    value = answer.json() if answer.content else None
    if answer.status_code >= 400:
        error = value.get("error", {}) if isinstance(value, dict) else {}
        raise Refused(str(error.get("message") or f"status {answer.status_code}"), str(error.get("code", "")))
    return value


def ask(place: Place, method: str, path: str, *, may_make: bool = False, **more: Any) -> Any:
    """`asked`, with a client made for it (see `operator` for `may_make`)."""

    async def run() -> Any:
        async with operator(place, may_make=may_make) as client:
            return await asked(client, method, path, **more)

    return perform(run)
