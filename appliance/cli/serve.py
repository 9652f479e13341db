"""`startline serve`: the server. The rule: it starts whole or says why not, and stops within `shutdown_s`."""

import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.place import Place, with_place

if TYPE_CHECKING:
    from appliance.app import Appliance
    from appliance.settings import Settings

WriteLines = Callable[[bytes], None] | None


def notify(state: str) -> None:
    """Tell systemd (sd_notify's protocol: a datagram to NOTIFY_SOCKET); nothing where it does not listen."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagram:
        try:
            datagram.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as fault:
            import structlog

            structlog.get_logger().warning("notify_failed", error=fault.strerror)


@click.command(epilog="Example: startline serve --listen 0.0.0.0:8787 --data-folder ./startline-data")
@with_place
@click.option("--listen", help="Address and port; default 127.0.0.1:8787.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Only the port, on 127.0.0.1.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Least level that is logged."
)
@click.option("--json", "as_json", is_flag=True, help="Log JSON on a terminal, too.")
def serve(place: Place, listen: str | None, port: int | None, log_level: str | None, as_json: bool) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends it at once."""
    from appliance.cli.operator import perform
    from appliance.services.log import failure_facts, set_up

    if listen and port is not None:
        raise click.UsageError("give --listen or --port, not both")
    if port is not None:
        listen = f"127.0.0.1:{port}"
    settings = place.settings(listen=listen, log_level=log_level)
    write_lines = set_up(settings.log_level, human=False if as_json else None)
    try:
        perform(_serve, place, settings, write_lines)
    except click.ClickException:
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as failure:  # noqa: BLE001 - the class and place of what ended the server, without its message
        import structlog

        structlog.get_logger().error("server_failed", **failure_facts(failure))
        sys.exit(1)


async def _serve(place: Place, settings: "Settings", write_lines: WriteLines) -> None:
    import structlog

    from appliance.server.listen import open_tcp
    from appliance.settings import SettingsFault
    from appliance.store.faults import StoreFault

    try:
        sockets = open_tcp(settings.listen)
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise click.ClickException(f"cannot listen on {settings.listen}: {reason}") from None
    try:
        with ExitStack() as closing:
            for listener in sockets:
                closing.enter_context(listener)
            await _serve_on(place, settings, sockets, write_lines)
    except (StoreFault, SettingsFault) as fault:
        raise click.ClickException(str(fault)) from None
    except OSError as fault:  # of opening: what happens later comes in a group, and is logged
        raise click.ClickException(f"{fault.filename or place.folder}: {fault.strerror}") from None
    structlog.get_logger().info("stopped")


async def _serve_on(place: Place, settings: "Settings", sockets: list[socket.socket], write_lines: WriteLines) -> None:
    import structlog
    import trio

    from appliance.app import open_appliance
    from appliance.app import serve as serve_on
    from appliance.cli.first_start import first_keys, hand_over
    from appliance.server.listen import open_unix

    log = structlog.get_logger()
    async with open_appliance(settings, place.folder, write_lines) as appliance:
        keys = await first_keys(appliance.store, time.time_ns() // 1_000_000_000)
        hand_over(appliance.store, keys, lambda path: log.info("first_keys_written", path=path))
        await _offer_import(appliance)
        operator_socket = place.socket()
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                await nursery.start(serve_on, appliance, [*sockets, open_unix(operator_socket)])
                addresses = [_shown(listener) for listener in sockets]
                log.info("serving", addresses=addresses, data_folder=str(place.folder), pid=os.getpid())
                if sys.stdout.isatty():
                    click.echo(f"Serving. The base URL for SDKs is http://{addresses[0]}/v1. Ctrl-C stops.")
                _spare_the_collector()
                notify("READY=1")
                received = await anext(aiter(signals))
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, signal.SIG_DFL)  # the next one ends the process at once
                log.info("stopping", signal=signal.Signals(received).name, live=len(appliance.gateway.live))
                notify("STOPPING=1")
                nursery.cancel_scope.cancel()
        operator_socket.unlink(missing_ok=True)


def _spare_the_collector() -> None:
    """Let the garbage collector look at what requests leave behind, seldom, and never again at what the start made.

    Requests make next to no cycles; at Python's own thresholds looking for them takes 4 to 7 % of a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _offer_import(appliance: "Appliance") -> None:
    """Offer provider keys found in the environment: a question on a terminal, else a line in the log."""
    import httpx
    import structlog
    import trio

    from appliance.cli.first_start import found_in_environment
    from appliance.cli.operator import as_operator, asked

    for name, variable in found_in_environment(appliance.store, os.environ):
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            command = f"printenv {variable} | startline provider add {name}"
            structlog.get_logger().info("provider_key_in_environment", variable=variable, import_with=command)
            continue
        question = f"{variable} is set. Store its key, encrypted, as the provider {name}?"
        # Ctrl-C abandons the question: its thread waits for a line that may never come.
        if await trio.to_thread.run_sync(partial(click.confirm, default=False), question, abandon_on_cancel=True):
            inside = httpx.ASGITransport(app=as_operator(appliance))
            async with httpx.AsyncClient(transport=inside, base_url="http://startline", timeout=60) as client:
                body: dict[str, Any] = {"name": name, "secret": os.environ[variable].strip()}
                answer = await asked(client, "POST", "/admin/v1/providers", json=body)
                click.echo(f"{name} is added" + ("" if answer["check"]["ok"] else f": {answer['check']['message']}"))
