"""The composition root: builds the parts, opens their nurseries in order, stops them in reverse.

`open_appliance` is everything but the listeners: the command line uses it when no server runs. `serve` adds them.
"""

import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import resources
from pathlib import Path

import trio
from starlette.applications import Starlette

from appliance.archive.writer import ArchiveWriter
from appliance.domain.record import Settled
from appliance.http1.limits import Limits
from appliance.net.dial import Dialer
from appliance.net.outbox import Outbox
from appliance.net.resolver import MOST_THREADS, Lookup, Resolver
from appliance.policy.failures import MOST_ADDRESSES
from appliance.policy.modalities import MODALITIES_FILE, Modalities
from appliance.policy.prices import PRICES_FILE, PriceTable
from appliance.request.answer import Gateway
from appliance.request.bodies import DECOMPRESSIONS
from appliance.request.breakers import MOST_SUSPECTS
from appliance.request.joint import MOST_PAIRS
from appliance.request.observatory import MOST_OBSERVED
from appliance.server.admin.desk import Desk
from appliance.server.admin.table import admin_routes
from appliance.server.asgi_inbox import INBOX_MESSAGES
from appliance.server.asgi_lane import AsgiLane
from appliance.server.door import MOST_FAREWELLS, Door
from appliance.server.front import Front
from appliance.server.listen import BACKLOG, Listeners
from appliance.server.metrics import Metrics
from appliance.server.queues import Queues
from appliance.server.request_log import BATCH_LINES, RequestLog, Write
from appliance.server.web import build
from appliance.services import alarms, price_file, pulse
from appliance.services.alarms import Alarms
from appliance.services.latency_keeper import LatencyKeeper
from appliance.settings import Settings
from appliance.store.folder import read_master_key
from appliance.store.open import Store, open_store
from appliance.store.writer import HELD_BYTES, MOST_CHANGES, MOST_WAITERS
from appliance.upstream.profile_files import all_profiles
from appliance.upstream.transport import Pool
from appliance.upstream.trust import bundle_path, client_context

STREAM_BYTES = 4 * 1024 * 1024 * 1024
"""A bound on one streamed answer of a provider, against one that never ends."""


def unix_s() -> float:
    """Wall clock in seconds."""
    return time.time_ns() / 1e9


class Appliance:
    """The parts of one running process."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        write_lines: Write | None = None,
        lookup: Lookup = socket.getaddrinfo,
    ) -> None:
        self.settings = settings
        self.store = store
        self.metrics = Metrics()
        self.resolver = Resolver(settings.dns_cache_s, lookup)
        self.price_stamp = price_file.stamp(store.folder.path)
        self.prices = PriceTable(
            resources.files("appliance.policy").joinpath(PRICES_FILE).read_bytes(),
            price_file.read_prices(store.folder.path),
        )
        self.dialer = Dialer(self.resolver)
        self.outbox = Outbox()
        self.pool = Pool(
            self.dialer,
            public_dialer=self.dialer.public,
            proxy_dialer=self.dialer.through,
            tls=lambda: client_context(bundle_path(settings.ca_bundle)),
            limits=Limits(body_bytes=STREAM_BYTES),
            connect_timeout_s=settings.connect_timeout_s,
            idle_s=settings.pool_idle_s,
            outbox=self.outbox,
        )
        self.alarms = Alarms(lambda since_s: self.gateway.engine.model.drifting(since_s))
        self._log = RequestLog(write_lines) if settings.log_requests else None
        self.gateway = Gateway(
            settings=settings,
            directory=store.directory,
            ledger=store.ledger,
            records=store.accounts,
            prices=self.prices,
            pool=self.pool,
            unix_s=unix_s,
            on_settled=self._settled,
            on_observed=self.metrics.observed,
            profiles=all_profiles(store.folder.path),
            modalities=Modalities(resources.files("appliance.policy").joinpath(MODALITIES_FILE).read_bytes()),
        )
        self.front = Front(self.gateway, settings, self.metrics.refused)
        self.application: Starlette = build(self.front, admin_routes(Desk(self.gateway, store, self.metrics, settings)))
        self.lane = AsgiLane(
            self.application,
            self.front.patience,
            self.front.limits,
            send_timeout_s=settings.write_timeout_s,
            requests_per_connection=settings.max_requests_per_connection,
            hangups=self.front.hangups,
            on_refused=self.front.on_refused,
        )
        self.door = Door(self.front.proxies, settings.max_connections, settings.max_connections_per_address)
        self.listeners = Listeners(self.front, self.lane, self.door)
        self._watch()

    def _settled(self, settled: Settled) -> None:
        self.metrics.settled(settled)
        self.alarms.settled(settled)
        if self._log is not None:
            self._log.settled(settled)

    def flush_log(self) -> None:
        """Write the lines of requests that wait for others."""
        if self._log is not None:
            self._log.flush()

    def _watch(self) -> None:
        watch, ledger = self.metrics.watch, self.store.ledger
        watch("startline_live_requests", lambda: len(self.gateway.live))
        watch("startline_client_connections", lambda: self.listeners.connections)
        watch("startline_idle_provider_connections", self.pool.idle_count)
        self.metrics.watch_table("startline_alarms", ("kind",), self.alarms.counts)
        hedges, purses = self.gateway.engine.hedges, self.gateway.engine.purses
        self.metrics.watch_table("startline_hedges_total", ("kind",), hedges.counts)
        self.metrics.watch_table("startline_exploration_usd", ("kind",), purses.counts)
        breakers = self.gateway.breakers
        self.metrics.watch_table(
            "startline_breakers", ("provider", "tier", "state"), lambda: breakers.counts(trio.current_time())
        )
        self.metrics.watch_table("startline_breaker_skips_total", ("provider", "tier"), lambda: breakers.skipped)
        self._watch_queues()
        watch("startline_store_queued_bytes", lambda: ledger.counters.held_bytes)
        watch("startline_store_lost_total", lambda: ledger.counters.lost)

    def _watch_queues(self) -> None:
        settings, gateway, door, ledger = self.settings, self.gateway, self.door, self.store.ledger
        threads, log = trio.to_thread.current_default_thread_limiter(), self._log
        queues = Queues()
        queues.watch("accept", self.listeners.accept_depth, BACKLOG)
        queues.watch("connections", lambda: door.connections, door.most)
        queues.watch("connections_of_address", door.busiest, door.most_per_address)
        queues.watch("farewells", lambda: door.farewells, MOST_FAREWELLS)
        queues.watch("requests_of_key", gateway.key_slots.most_taken, settings.max_requests_per_key)
        queues.watch("bodies_bytes", lambda: gateway.bodies.held_bytes, gateway.bodies.limit_bytes)
        queues.watch("decompressions", lambda: gateway.bodies.decompressing.borrowed_tokens, DECOMPRESSIONS)
        queues.watch("asgi_inbox", lambda: max(map(len, self.lane.inboxes), default=0), INBOX_MESSAGES)
        queues.watch("races", gateway.slots.most_taken, settings.race_slots)
        queues.watch("account_reads", lambda: self.store.accounts.questions, door.most)
        queues.watch("observed_attempts", lambda: len(gateway.observatory.running), MOST_OBSERVED)
        queues.watch("suspects", lambda: len(gateway.breakers.suspects), MOST_SUSPECTS)
        queues.watch("suspects_of_races", lambda: len(gateway.breakers.races.suspects), MOST_PAIRS)
        queues.watch("idle_provider_connections", self.pool.busiest, self.pool.idle_per_origin)
        queues.watch("name_lookups", lambda: self.resolver.lookups, MOST_THREADS)
        queues.watch("threads", lambda: threads.borrowed_tokens, threads.total_tokens)
        queues.watch("failed_key_addresses", lambda: len(gateway.doorkeeper.failures), MOST_ADDRESSES)
        queues.watch("log_lines", lambda: 0 if log is None else log.waiting, BATCH_LINES)
        queues.watch("store_records_bytes", lambda: ledger.counters.held_bytes, HELD_BYTES)
        queues.watch("store_changes", lambda: ledger.counters.changes, MOST_CHANGES)
        queues.watch("store_waiters", lambda: ledger.counters.waiters, MOST_WAITERS)
        queues.watch("open_requests", lambda: ledger.counters.open_requests, door.most)
        self.metrics.watch_table("startline_queue_depth", ("queue",), queues.depths)
        self.metrics.watch_table("startline_queue_limit", ("queue",), queues.limits)


@asynccontextmanager
async def open_appliance(
    settings: Settings,
    folder: Path,
    write_lines: Write | None = None,
    *,
    vfs: str | None = None,
    lookup: Lookup = socket.getaddrinfo,
) -> AsyncIterator[Appliance]:
    """Open the data folder and run everything but listeners. Raises what `open_store` raises.

    `write_lines` takes the lines of requests as JSON, several at a time (services/log.py gives it).
    `vfs` names the way to the disk that SQLite takes; None: its own. `lookup` finds the addresses of names.
    """
    supplied = read_master_key(settings.master_key.encode()) if settings.master_key else None
    archive = partial(
        ArchiveWriter, segment_bytes=settings.archive_segment_bytes, segment_age_s=settings.archive_segment_age_s
    )
    async with open_store(
        folder,
        archive=archive,
        now_unix_us=time.time_ns() // 1000,
        random=secrets.token_bytes,
        supplied_master_key=supplied,
        durability=settings.durability,
        on_store_failure=settings.on_store_failure,
        linger_s=settings.writer_linger_s,
        vfs=vfs,
    ) as store:
        appliance = Appliance(settings, store, write_lines, lookup)
        forget = store.directory.on_change(lambda key: appliance.gateway.revoked(key))
        keeper = LatencyKeeper(appliance.gateway.engine, store.latency, unix_s)
        await keeper.load()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(appliance.pool.run)
                nursery.start_soon(appliance.gateway.observatory.run)
                nursery.start_soon(pulse.run, appliance.gateway, appliance.flush_log)
                nursery.start_soon(alarms.run, appliance.alarms)
                nursery.start_soon(keeper.run)
                nursery.start_soon(price_file.run, folder, appliance.prices, appliance.price_stamp)
                try:
                    yield appliance
                finally:
                    forget()
                    appliance.flush_log()
                    nursery.cancel_scope.cancel()
        finally:
            await keeper.last()


async def serve(
    appliance: Appliance,
    sockets: list[socket.socket],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on listening sockets until cancelled; then requests in work get `shutdown_s` to end."""
    with appliance.outbox.installed():
        await appliance.listeners.serve(sockets, appliance.settings.shutdown_s, task_status=task_status)
