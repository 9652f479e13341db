"""The one thread that writes: records in batches, changes of identities one by one. The rule: nothing else writes.

The event loop hands records over through `Handover` and functions through `write`; the thread answers through the
event loop's token. A disk that fails is tried again, and the records wait; any other exception ends the thread and is
raised by `run`, in the nursery that started it.

A batch passes three stages, each done once: archive, sync (when durability or somebody asks for it), rows. If a sync
fails, all that was appended since the last good one is appended again, the batches whose rows are written too. After a
batch the thread rests for a few milliseconds, so that at thousands of requests a second it does not fight with the
event loop for the interpreter lock at each record; barriers, changes and the end wake it at once.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import apsw
import structlog
import trio

from appliance.domain.errors import ApplianceFault
from appliance.store.commit import NOTE_OPEN_AFTER_S, Archive, Committer, Recovery
from appliance.store.counters import WriterCounters
from appliance.store.database import DISK_FAULTS
from appliance.store.handover import Handover, Item

Durability = Literal["batched", "strict"]
T = TypeVar("T")

BATCH_ROWS = 256
"""Seen: 11.9 µs of CPU for a request's records in batches of 64, 9.7 in batches of 256."""

LINGER_S = 0.02
"""Seen at 1,000 requests/s: 52 µs of CPU for a request's records at 5 ms, 27 at 20 ms; at 4,000/s 23 and 17."""

SYNC_EVERY_S = 0.25
HELD_BYTES = 64 * 1024 * 1024
MOST_CHANGES = 1024
MOST_WAITERS = 65_536
TEND_EVERY_S = 60.0
_RETRY_FIRST_S = 0.25
_RETRY_MOST_S = 5.0


class _Job:
    """A transaction to run, and what came of it."""

    __slots__ = ("done", "fault", "function", "result", "then")

    def __init__(self, function: Callable[[apsw.Connection], Any], then: Callable[[Any], None] | None) -> None:
        self.function = function
        self.then = then
        self.done = trio.Event()
        self.result: Any = None
        self.fault: BaseException | None = None


class _Waiter:
    """Somebody who waits until the first `ticket` records are synced, or in the database."""

    __slots__ = ("event", "failed", "ticket")

    def __init__(self, ticket: int) -> None:
        self.ticket = ticket
        self.event = trio.Event()
        self.failed = False


class StoreWriter:
    """Owns the write connection and the archive from `run` on.

    `durability` "strict" syncs the archive at each batch and never rests; "batched" syncs it every `sync_every_s` or
    when a barrier waits: killing the process then loses what was still queued, cutting the power also that interval.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        archive: Archive,
        *,
        durability: Durability = "batched",
        batch_rows: int = BATCH_ROWS,
        linger_s: float = LINGER_S,
        sync_every_s: float = SYNC_EVERY_S,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        self.handover = Handover(held_bytes)
        self.failing = False
        self._archive = archive
        self._committer = Committer(connection, archive)
        self._strict = durability == "strict"
        self._batch_rows = batch_rows
        self._linger_s = 0.0 if self._strict else linger_s
        self._sync_every_s = sync_every_s
        self._log = structlog.get_logger("store")
        self._token: trio.lowlevel.TrioToken | None = None
        self._jobs: deque[_Job] = deque()
        self._waiters: deque[_Waiter] = deque()
        self._row_waiters: deque[_Waiter] = deque()
        self._sync_wanted = False
        self._stopping = False
        self._running = trio.Event()
        self.ended = False
        self._synced = 0  # how many records are synced, as the event loop knows
        # The thread's own:
        self._batch: list[Item] = []
        self._appended = False
        self._unsynced: list[Item] = []  # in the archive, whole batches, but perhaps not on the disk
        self._taken = 0
        self._batches = 0
        self._last_sync_s = 0.0
        self._retry_s = 0.0
        self._retry_at_s = 0.0
        self._error: str | None = None

    @property
    def counters(self) -> WriterCounters:
        """A snapshot for metrics."""
        queue = self.handover
        return WriterCounters(
            len(queue.items), queue.held_bytes, len(self._jobs), len(self._waiters) + len(self._row_waiters),
            self._committer.open_requests, queue.lost, self._committer.unstorable, self._batches, self.failing,
            self._error,
        )  # fmt: skip

    def recover(self) -> Recovery:
        """Replay what a crash left undone. Once, before `run`, in a thread: it takes what the disk takes."""
        return self._committer.recover()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report started, write until `stop` or cancellation, then drain. Raises what ends the thread."""
        self._token = trio.lowlevel.current_trio_token()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run_thread, nursery.cancel_scope)
                # Not before the thread runs: a cancellation would keep it from starting, and what is handed over lost.
                await self._running.wait()
                task_status.started()
                try:
                    await trio.sleep_forever()
                finally:
                    self.stop()
        finally:
            self._end()

    def stop(self) -> None:
        """Ask the thread to write what is queued and end; `run` returns when it has. From the event loop."""
        self._stopping = True
        self.handover.ring()

    async def write(self, function: Callable[[apsw.Connection], T], *, then: Callable[[T], None] | None = None) -> T:
        """Run `function` in the writer thread as one transaction, synced when it returns; its exceptions undo it.

        `then` gets the result in the event loop as soon as it is committed, even if the caller was cancelled meanwhile.
        Raises ApplianceFault("store_unavailable") when the disk failed, the writer has ended or too many wait.
        """
        if self._stopping or self._token is None or len(self._jobs) >= MOST_CHANGES:
            raise ApplianceFault("store_unavailable")
        job = _Job(function, then)
        self._jobs.append(job)
        self.handover.ring()
        await job.done.wait()
        if job.fault is not None:
            raise job.fault
        result: T = job.result
        return result

    async def barrier(self) -> None:
        """Wait until all records handed over so far are synced. Raises ApplianceFault("store_unavailable")."""
        ticket = self.handover.accepted
        if self._synced >= ticket:
            await trio.lowlevel.checkpoint()
            return
        self._sync_wanted = True
        await self._wait_in(self._waiters, ticket)

    async def flush(self) -> None:
        """Wait until all records handed over so far can be queried. Raises ApplianceFault("store_unavailable")."""
        if self.handover.held_bytes == 0:
            await trio.lowlevel.checkpoint()
            return
        await self._wait_in(self._row_waiters, self.handover.accepted)

    async def _wait_in(self, waiters: deque[_Waiter], ticket: int) -> None:
        if self.ended or self.failing or len(waiters) >= MOST_WAITERS:
            raise ApplianceFault("store_unavailable")
        waiter = _Waiter(ticket)
        waiters.append(waiter)
        self.handover.ring()
        await waiter.event.wait()
        if waiter.failed:
            raise ApplianceFault("store_unavailable")

    # In the event loop, called by the thread through the token.

    def _finish(self, job: _Job) -> None:
        if job.fault is None and job.then is not None:
            job.then(job.result)
        job.done.set()

    def _release(self, synced: int) -> None:
        self._synced = synced
        while self._waiters and self._waiters[0].ticket <= synced:
            self._waiters.popleft().event.set()
        if self._waiters:  # for a later batch than the one that was synced
            self._sync_wanted = True
            self.handover.ring()

    def _release_rows(self, done: int) -> None:
        while self._row_waiters and self._row_waiters[0].ticket <= done:
            self._row_waiters.popleft().event.set()

    def _fail_waiters(self) -> None:
        for waiters in (self._waiters, self._row_waiters):
            while waiters:
                waiter = waiters.popleft()
                waiter.failed = True
                waiter.event.set()

    def _end(self) -> None:
        self._stopping = self.ended = True
        self._fail_waiters()
        while self._jobs:
            job = self._jobs.popleft()
            job.fault = ApplianceFault("store_unavailable")
            job.done.set()

    async def _run_thread(self, scope: trio.CancelScope) -> None:
        await trio.to_thread.run_sync(self._loop, limiter=trio.CapacityLimiter(1))
        scope.cancel()

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        assert self._token is not None  # noqa: S101 - set by run before the thread starts
        self._token.run_sync_soon(function, *arguments)

    # In the thread.

    def _loop(self) -> None:
        self._call(self._running.set)
        queue = self.handover
        while True:
            while self._jobs:
                self._run_job(self._jobs.popleft())
            now_s = time.monotonic()
            if self._batch or queue.items:
                if self.failing and now_s < self._retry_at_s and not self._stopping:
                    queue.sleep(self._retry_at_s - now_s)
                elif self._write_batch(now_s):
                    self._rest()
                elif self._stopping:
                    break
            elif self._stopping:
                break
            else:
                self._idle(now_s)
        self._close()

    def _write_batch(self, now_s: float) -> bool:
        """Bring one batch as far as the disk lets; False if it failed and is to be tried again."""
        if not self._batch:
            self._batch = self.handover.take(self._batch_rows)
            self._taken += len(self._batch)
        try:
            self._append_again()
            if not self._appended:
                segment, _ = self._archive.end
                self._committer.append(self._batch, now_s)
                self._appended = True
                if self._archive.end[0] != segment:
                    self._unsynced.clear()  # the segment that was closed was synced
            if self._strict or self._sync_wanted or now_s - self._last_sync_s >= self._sync_every_s:
                self._sync(now_s)
            self._committer.commit(self._batch, now_s)
        except DISK_FAULTS as fault:
            self._disk_failed(fault, now_s)
            return False
        self.handover.done(self._batch)
        if self._archive.unsynced:
            self._unsynced += self._batch
        self._batch, self._appended = [], False
        self._batches += 1
        self._disk_works()
        if self._row_waiters:
            self._call(self._release_rows, self._taken)
        return True

    def _sync(self, now_s: float) -> None:
        self._sync_wanted = False
        try:
            self._archive.sync()
        except DISK_FAULTS:
            self._appended = False
            raise
        self._unsynced.clear()
        self._last_sync_s = now_s
        self._call(self._release, self._taken)

    def _append_again(self) -> None:
        if self._archive.doubtful:
            if self._unsynced:
                self._committer.append_again(self._unsynced)
            self._archive.doubtful = False

    def _rest(self) -> None:
        queue = self.handover
        if len(queue.items) >= self._batch_rows:
            return
        if self._tend():
            return
        if self._linger_s > 0 and not (self._jobs or self._sync_wanted or self._row_waiters or self._stopping):
            queue.sleep(self._linger_s)

    def _idle(self, now_s: float) -> None:
        queue = self.handover
        try:
            self._append_again()
            overdue = self._archive.unsynced and now_s - self._last_sync_s >= self._sync_every_s
            if overdue or self._sync_wanted:
                self._sync(now_s)
            self._committer.commit((), now_s)
        except DISK_FAULTS as fault:
            self._disk_failed(fault, now_s)
            queue.sleep(self._retry_at_s - now_s)
            return
        self._disk_works()
        if self._row_waiters:
            self._call(self._release_rows, self._taken)
        if self._tend():
            return
        most_s = TEND_EVERY_S
        if self._archive.unsynced:
            most_s = max(0.0, self._last_sync_s + self._sync_every_s - now_s)
        if (since_s := self._committer.oldest_since_s) is not None:
            most_s = min(most_s, max(0.0, since_s + NOTE_OPEN_AFTER_S - now_s) + 0.01)
        queue.asleep = True
        if not (queue.items or self._jobs or self._sync_wanted or self._stopping):
            queue.sleep(most_s)
        queue.asleep = False

    def _tend(self) -> bool:
        try:
            return self._archive.tend()
        except DISK_FAULTS as fault:
            self._log.warning("archive_housekeeping_failed", error=type(fault).__name__)
            return False

    def _run_job(self, job: _Job) -> None:
        connection = self._committer.connection
        try:
            connection.pragma("synchronous", 2)
            try:
                with connection:
                    job.result = job.function(connection)
            finally:
                connection.pragma("synchronous", 1)
        except DISK_FAULTS as fault:
            self._log.error("store_change_failed", error=type(fault).__name__)
            job.fault = ApplianceFault("store_unavailable")
        except Exception as fault:  # noqa: BLE001 - it is raised in the caller
            job.fault = fault
        self._call(self._finish, job)

    def _disk_failed(self, fault: BaseException, now_s: float) -> None:
        name = type(fault).__name__
        if not self.failing or name != self._error:
            self._log.error("store_disk_failed", error=name, held_bytes=self.handover.held_bytes)
        self._retry_s = min(_RETRY_MOST_S, self._retry_s * 2 or _RETRY_FIRST_S)
        self._retry_at_s = now_s + self._retry_s
        self._error = name
        self.failing = True
        self._sync_wanted = False
        self._call(self._fail_waiters)

    def _disk_works(self) -> None:
        if self.failing:
            self.failing = False
            self._retry_s = 0.0
            self._error = None
            self._log.info("store_disk_recovered")

    def _close(self) -> None:
        left = len(self._batch) + len(self.handover.items)
        if left:
            self._log.error("records_lost", records=left)
        try:
            try:
                self._append_again()
            finally:
                self._archive.close()
            self._call(self._release, self._taken - len(self._batch))
        except DISK_FAULTS as fault:
            self._log.error("archive_close_failed", error=type(fault).__name__)
