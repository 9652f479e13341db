"""Questions about usage, for `startline usage` and the admin routes. The rule: never on the writer's connection.

An answer may lag behind the requests by a few milliseconds: what is still queued is not in it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import apsw
import msgspec
import trio

from appliance.domain.errors import ApplianceFault
from appliance.domain.record import AttemptRecord, RequestRecord
from appliance.store.database import DISK_FAULTS, open_database
from appliance.store.rows import ATTEMPT_COLUMNS, REQUEST_COLUMNS, Row, attempt_from, request_from

GroupBy = Literal["tier", "model", "provider", "key", "reason"]
_GROUP_COLUMNS: dict[GroupBy, str] = {
    "tier": "coalesce(tier_served, '')",
    "model": "coalesce(model_dispatched, model_asked)",
    "provider": "coalesce(provider, '')",
    "key": "key_id",
    "reason": "coalesce(reason, '')",
}
_REQUEST = ", ".join(REQUEST_COLUMNS)
_ATTEMPT = ", ".join(ATTEMPT_COLUMNS)
_READERS = 2
_CACHE_BYTES = 512 * 1024
"""Pages that a connection keeps, a quarter of SQLite's own choice: rows are read once and in order, so that more is
held for nothing."""

T = TypeVar("T")


class UsageFilter(msgspec.Struct, frozen=True):
    """Which requests: all fields that are not None must match. Times are Unix microseconds, `until` exclusive.

    `model` matches the model asked or dispatched, `tier` the tier served or, for what was never served, the one sent.
    """

    organisation_id: str | None = None
    since_unix_us: int | None = None
    until_unix_us: int | None = None
    key_id: str | None = None
    model: str | None = None
    tier: str | None = None


class UsageTotals(msgspec.Struct, frozen=True):
    """Sums over requests. `cost_nanos` adds what is known or estimated; `unknown_costs` requests have neither.

    `compared_nanos` and `default_nanos` add cost and always-default cost of the requests that have both;
    `saved_nanos` is their difference. `failed` answered with status 400 or more (or none at all).
    """

    group: str
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    unknown_tokens: int
    cost_nanos: int
    estimated_costs: int
    unknown_costs: int
    unknown_prices: int
    compared_nanos: int
    default_nanos: int
    deadlines: int
    deadlines_met: int

    @property
    def saved_nanos(self) -> int:
        """What always-default would have cost more."""
        return self.default_nanos - self.compared_nanos


MOST_DIGITS = 18
"""Of an integer that the database takes."""


class UsagePage(msgspec.Struct, Generic[T], frozen=True):
    """Requests, or what was made of them, newest first; `next`: the `before` of the page after it, None on the last."""

    requests: tuple[T, ...]
    next: str | None


class UsageDetail(msgspec.Struct, frozen=True):
    """One request and its attempts in order of launch."""

    request: RequestRecord
    attempts: tuple[AttemptRecord, ...]


_TOTALS = """
    count(*), coalesce(sum(status >= 400 OR status = 0), 0),
    coalesce(sum(tokens_input), 0), coalesce(sum(tokens_output), 0), coalesce(sum(tokens_cached), 0),
    coalesce(sum(tokens_reasoning), 0), coalesce(sum(tokens_certainty = 'unknown'), 0),
    coalesce(sum(cost_nanos), 0), coalesce(sum(cost_state = 'estimated'), 0), coalesce(sum(cost_nanos IS NULL), 0),
    coalesce(sum(cost_state = 'unknown_price'), 0),
    coalesce(sum(CASE WHEN default_nanos IS NOT NULL THEN cost_nanos END), 0),
    coalesce(sum(CASE WHEN cost_nanos IS NOT NULL THEN default_nanos END), 0),
    coalesce(sum(window_s IS NOT NULL), 0), coalesce(sum(deadline_met), 0)
"""


class Usage:
    """Reads the usage of one database; a few connections, made when first needed, each used by one thread at a time.

    Where the disk fails (or descriptors have run out), questions raise ApplianceFault("store_unavailable").
    """

    def __init__(self, database: Path, vfs: str | None = None) -> None:
        self._database = database
        self._vfs = vfs
        self._limiter = trio.CapacityLimiter(_READERS)
        self._idle: list[apsw.Connection] = []

    @property
    def questions(self) -> int:
        """Questions under way, those that wait for a connection included."""
        now = self._limiter.statistics()
        return now.borrowed_tokens + now.tasks_waiting

    async def page(
        self, which: UsageFilter, *, limit: int = 100, before: str | None = None
    ) -> UsagePage[RequestRecord]:
        """At most `limit` requests, newest first. `before`: a page's `next`. Raises ValueError on another text."""
        return await self.page_of(_itself, which, limit=limit, before=before)

    async def page_of(
        self, each: Callable[[RequestRecord], T], which: UsageFilter, *, limit: int, before: str | None = None
    ) -> UsagePage[T]:
        """The same, of what `each` makes of a request: in a thread, one by one, so that no more than one is held."""
        where, values = conditions(which)
        if before is not None:
            at, _, request_id = before.partition("-")
            if len(at) > MOST_DIGITS:
                raise ValueError("not the `next` of a page")
            where += " AND (at_unix_us, request_id) < (?, ?)"
            values += [int(at), request_id]
        sql = f"SELECT {_REQUEST} FROM requests WHERE {where} ORDER BY at_unix_us DESC, request_id DESC LIMIT ?"  # noqa: S608

        def shape(row: Row) -> tuple[str, T]:
            record = request_from(row)
            return f"{record.at_unix_us}-{record.request_id}", each(record)

        found = await self._read(sql, [*values, limit + 1], shape)
        more = len(found) > limit
        return UsagePage(tuple(one for _, one in found[:limit]), found[limit - 1][0] if more and limit else None)

    async def totals(self, which: UsageFilter) -> UsageTotals:
        """Sums over all that match; `group` is empty."""
        where, values = conditions(which)
        sql = f"SELECT '', {_TOTALS} FROM requests WHERE {where}"  # noqa: S608
        (sums,) = await self._read(sql, values, _totals_from)
        return sums

    async def groups(self, which: UsageFilter, by: GroupBy) -> tuple[UsageTotals, ...]:
        """Sums by tier served, model, provider, key or reason; the most requests first."""
        where, values = conditions(which)
        column = _GROUP_COLUMNS[by]
        sql = f"SELECT {column}, {_TOTALS} FROM requests WHERE {where} GROUP BY 1 ORDER BY 2 DESC, 1"  # noqa: S608
        return tuple(await self._read(sql, values, _totals_from))

    async def request(self, request_id: str, *, organisation_id: str | None = None) -> UsageDetail | None:
        """One request with its attempts; None if there is none (in that organisation)."""
        sql = f"SELECT {_REQUEST} FROM requests WHERE request_id = ?"  # noqa: S608
        found = await self._read(sql, [request_id], request_from)
        if not found:
            return None
        request = found[0]
        if organisation_id not in (None, request.organisation_id):
            return None
        sql = f"SELECT {_ATTEMPT} FROM attempts WHERE request_id = ? ORDER BY ordinal"  # noqa: S608
        return UsageDetail(request, tuple(await self._read(sql, [request_id], attempt_from)))

    def close(self) -> None:
        """Close the connections; no question may be under way."""
        while self._idle:
            self._idle.pop().close()

    async def _read(self, sql: str, values: list[Any], shape: Callable[[Row], T]) -> list[T]:
        return await trio.to_thread.run_sync(self._read_here, sql, values, shape, limiter=self._limiter)

    def _read_here(self, sql: str, values: list[Any], shape: Callable[[Row], T]) -> list[T]:
        try:
            connection = self._idle.pop() if self._idle else self._opened()
            try:
                return [shape(row) for row in connection.execute(sql, values)]
            finally:
                self._idle.append(connection)
        except DISK_FAULTS:
            raise ApplianceFault("store_unavailable") from None

    def _opened(self) -> apsw.Connection:
        connection = open_database(self._database, read_only=True, vfs=self._vfs)
        connection.pragma("cache_size", -(_CACHE_BYTES // 1024))
        return connection


def _totals_from(row: Row) -> UsageTotals:
    return UsageTotals(*row)


def _itself(record: RequestRecord) -> RequestRecord:
    return record


def conditions(which: UsageFilter) -> tuple[str, list[Any]]:
    """The WHERE clause and its values; the texts are constants."""
    clauses: list[str] = ["1"]
    values: list[Any] = []
    for clause, value in (
        ("organisation_id = ?", which.organisation_id),
        ("at_unix_us >= ?", which.since_unix_us),
        ("at_unix_us < ?", which.until_unix_us),
        ("key_id = ?", which.key_id),
        ("? IN (model_asked, model_dispatched)", which.model),
        ("coalesce(tier_served, tier_sent) = ?", which.tier),
    ):
        if value is not None:
            clauses.append(clause)
            values.append(value)
    return " AND ".join(clauses), values
