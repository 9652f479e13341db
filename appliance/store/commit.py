"""Brings records into archive and database. The rule: archive first, then rows and archive position in one transaction.

All of it runs in the writer thread. The committed position is where replaying starts after a crash: the start of the
oldest begun request that is not settled, or the archive's end. A request that stays open for longer is noted in the
table `open_requests`, so that a slow one does not hold the position back. Replaying is idempotent: rows that are there
already are left as they are, and what was observed of an attempt later replaces its row, with the cost summed anew.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

import apsw
import msgspec
import structlog

from appliance.domain.money import CostState
from appliance.domain.record import ArchiveRecord, AttemptRecord, Begun, Observed, RequestRecord, Settled
from appliance.store.handover import Item
from appliance.store.rows import insert_attempts, insert_requests, replace_observed

NOTE_OPEN_AFTER_S = 2.0
_REPLAY_ROWS = 512

ROW_FAULTS = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, OverflowError, UnicodeError)
"""What the database raises for a value that it cannot hold."""

_DECODER: msgspec.msgpack.Decoder[ArchiveRecord] = msgspec.msgpack.Decoder(ArchiveRecord)
_ENCODER = msgspec.msgpack.Encoder()

Position = tuple[int, int]
"""Segment number and offset."""


class Archive(Protocol):
    """The append end of the archive, as `archive.writer.ArchiveWriter` has it. Methods raise OSError."""

    unsynced: bool
    doubtful: bool
    """All that was appended since the last good sync must be appended again; whoever has done that sets it False."""

    @property
    def end(self) -> Position:
        """Behind the last record."""
        ...

    def replay(self) -> Iterator[tuple[Position, bytes]]:
        """Payloads and their positions from the committed position on."""
        ...

    def append(self, payloads: Sequence[bytes]) -> Sequence[Position]:
        """Write payloads; where each starts."""
        ...

    def sync(self) -> None:
        """Return when all is on the disk; after an OSError what was not synced must be appended again."""
        ...

    def committed(self, position: Position) -> None:
        """The database has every row below the position."""
        ...

    def tend(self) -> bool:
        """A short step of housekeeping; whether there is more."""
        ...

    def close(self) -> None:
        """Sync and close."""
        ...


class Recovery(msgspec.Struct, frozen=True):
    """What the start had to mend: records read again, requests found interrupted, records not understood."""

    replayed: int
    interrupted: int
    undecodable: int


def interrupted(begun: Begun) -> Settled:
    """The end of a request that the process did not live to settle: status 0, its cost the estimate made before.

    The provider may have answered in full; what the client got of it nobody knows.
    """
    state: CostState = "unknown_usage" if begun.estimate_nanos is None else "estimated"
    first = begun.rungs[0] if begun.rungs else None
    request = RequestRecord(
        begun.request_id, begun.organisation_id, begun.key_id, begun.at_unix_us, begun.endpoint, begun.dialect,
        begun.model_asked, first.model if first else None, first.provider if first else None, None, begun.tier_asked,
        first.tier if first else None, None, None, begun.streamed, 0, "interrupted", "internal", "startline",
        cost_nanos=begun.estimate_nanos, cost_state=state, window_s=begun.window_s,
    )  # fmt: skip
    if first is None:
        return Settled(request, ())
    attempt = AttemptRecord(
        begun.request_id, 1, first.provider, "", first.model, first.tier, None, 0.0, 0.0, "interrupted",
        cost_nanos=begun.estimate_nanos, cost_state=state,
    )  # fmt: skip
    return Settled(request, (attempt,))


class Committer:
    """Owns the write connection and the archive on behalf of the writer thread."""

    def __init__(self, connection: apsw.Connection, archive: Archive) -> None:
        self.connection = connection
        self.archive = archive
        self.unstorable = 0
        self._log = structlog.get_logger("store")
        self._fresh: dict[str, tuple[Position, bytes, float]] = {}  # begun, in order of arrival; not noted yet
        self._noted: set[str] = set()  # begun, and in the table open_requests

    @property
    def open_requests(self) -> int:
        """Requests that were begun and are not settled yet."""
        return len(self._fresh) + len(self._noted)

    def recover(self) -> Recovery:
        """Replay the archive from the committed position, then settle what was interrupted. Once, before all else."""
        open_requests = {
            request_id: _DECODER.decode(payload)
            for request_id, payload in self.connection.execute("SELECT request_id, begun FROM open_requests")
        }
        replayed = undecodable = 0
        settled: list[Settled] = []
        observed: list[Observed] = []
        for _, payload in self.archive.replay():
            replayed += 1
            try:
                record = _DECODER.decode(payload)
            except (msgspec.DecodeError, RecursionError):
                undecodable += 1
                continue
            if isinstance(record, Begun):
                open_requests[record.request_id] = record
                continue
            if isinstance(record, Observed):
                observed.append(record)
            else:
                settled.append(record)
                open_requests.pop(record.request.request_id, None)
            if len(settled) + len(observed) >= _REPLAY_ROWS:
                self._transact(settled, observed, lambda: None)
                settled, observed = [], []
        # A begun is dropped only now: one that was written twice may follow its own settled record.
        ends = [interrupted(begun) for begun in open_requests.values() if isinstance(begun, Begun)]
        ends = [end for end in ends if not self._has_row(end.request.request_id)]
        ends = [end for end in ends if all(end.request.request_id != one.request.request_id for one in settled)]
        if not (replayed or open_requests):
            return Recovery(0, 0, 0)
        if ends:
            self.archive.append([_ENCODER.encode(end) for end in ends])
        self.archive.sync()

        def rest() -> None:
            self.connection.execute("DELETE FROM open_requests")
            self._move(self.archive.end)

        self._transact(settled + ends, observed, rest)
        self.archive.committed(self.archive.end)
        return Recovery(replayed, len(ends), undecodable)

    def append(self, batch: list[Item], now_s: float) -> None:
        """Write a batch to the archive (unsynced) and remember what has begun."""
        starts = self.archive.append([payload for payload, _ in batch])
        for (payload, record), start in zip(batch, starts, strict=True):
            if isinstance(record, Begun):
                self._fresh[record.request_id] = (start, payload, now_s)

    def append_again(self, batch: list[Item]) -> None:
        """Write to the archive (unsynced) what a failed sync has left in doubt; the rows of its requests stay."""
        starts = self.archive.append([payload for payload, _ in batch])
        for (payload, record), start in zip(batch, starts, strict=True):
            if isinstance(record, Begun) and record.request_id in self._fresh:
                self._fresh[record.request_id] = (start, payload, self._fresh[record.request_id][2])

    def commit(self, batch: Iterable[Item], now_s: float) -> None:
        """Put what has settled into the database, with the position up to which nothing needs replaying.

        A batch without anything settled costs no transaction, until something has been open for NOTE_OPEN_AFTER_S.
        """
        settled, observed = [], []
        for _, record in batch:
            if isinstance(record, Settled):
                settled.append(record)
            elif isinstance(record, Observed):
                observed.append(record)
        ended = [end.request.request_id for end in settled]
        for request_id in ended:
            self._fresh.pop(request_id, None)
        long_open = []
        for request_id, (_, payload, since_s) in self._fresh.items():
            if now_s - since_s < NOTE_OPEN_AFTER_S:
                break
            long_open.append((request_id, payload))
        if not settled and not observed and not long_open:
            return
        closed = [(request_id,) for request_id in ended if request_id in self._noted]
        remaining = list(self._fresh.values())[len(long_open) :][:1] if long_open else self._oldest()
        position = remaining[0][0] if remaining else self.archive.end

        def rest() -> None:
            if long_open:
                self.connection.executemany("INSERT OR IGNORE INTO open_requests VALUES(?, ?)", long_open)
            if closed:
                self.connection.executemany("DELETE FROM open_requests WHERE request_id = ?", closed)
            self._move(position)

        self._transact(settled, observed, rest)
        for request_id, _ in long_open:
            del self._fresh[request_id]
            self._noted.add(request_id)
        self._noted.difference_update(ended)
        self.archive.committed(position)

    @property
    def oldest_since_s(self) -> float | None:
        """When the oldest begun request arrived that is neither settled nor noted as open."""
        oldest = self._oldest()
        return oldest[0][2] if oldest else None

    def _oldest(self) -> list[tuple[Position, bytes, float]]:
        for entry in self._fresh.values():
            return [entry]
        return []

    def _move(self, position: Position) -> None:
        self.connection.execute("UPDATE archive_position SET segment = ?, offset = ?", position)

    def _has_row(self, request_id: str) -> bool:
        return bool(self.connection.execute("SELECT count(*) FROM requests WHERE request_id = ?", (request_id,)).get)

    def _transact(self, settled: list[Settled], observed: list[Observed], rest: Callable[[], None]) -> None:
        """Insert rows and do the rest in one transaction; if the database refuses a value, again, row by row.

        What was observed comes after the rows that it replaces: a record of it always follows the settled one.

        Not with savepoints from the start: they double what a batch costs, and no value should ever be refused.
        """
        try:
            with self.connection:
                self._insert(settled)
                for late in observed:
                    replace_observed(self.connection, late.attempt)
                rest()
            return
        except ROW_FAULTS:
            pass
        with self.connection:
            for one in settled:
                self._try(one.request.request_id, partial(self._insert, [one]))
            for late in observed:
                self._try(late.request_id, partial(replace_observed, self.connection, late.attempt))
            rest()

    def _try(self, request_id: str, change: Callable[[], None]) -> None:
        try:
            with self.connection:
                change()
        except ROW_FAULTS as fault:
            # Its archive record stays; `archive cat` shows it.
            self.unstorable += 1
            self._log.error("usage_row_refused", request_id=request_id, error=type(fault).__name__)

    def _insert(self, settled: list[Settled]) -> None:
        insert_requests(self.connection, [one.request for one in settled])
        insert_attempts(self.connection, [attempt for one in settled for attempt in one.attempts])
