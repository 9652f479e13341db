"""Raced requests with their attempts, many at once, for `startline race report` and `replay`.

The rule: read-only and beside a running server; one snapshot, so that requests and attempts agree.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apsw
import msgspec

from appliance.domain.record import AttemptRecord, RequestRecord
from appliance.store.database import open_database, unusable
from appliance.store.faults import UnusableDatabase
from appliance.store.rows import ATTEMPT_COLUMNS, REQUEST_COLUMNS, attempt_from, request_from
from appliance.store.schema import MIGRATIONS, check
from appliance.store.usage import UsageFilter, conditions

_REQUEST = ", ".join(REQUEST_COLUMNS)
_ATTEMPT = ", ".join(ATTEMPT_COLUMNS)


class Races:
    """The raced requests of one database, until `close`.

    Raises UnusableDatabase, NewerSchema, NotOurs; UnusableDatabase, too, where an older version wrote it and no newer
    one has served since.
    """

    def __init__(self, database: Path) -> None:
        try:
            self._connection = open_database(database, read_only=True)
            try:
                if check(self._connection) < len(MIGRATIONS):
                    raise UnusableDatabase(f"{database} is an older version's: `startline serve` brings it up to date")
                self._connection.execute("BEGIN")
            except BaseException:
                self._connection.close()
                raise
        except apsw.Error as fault:
            raise unusable(database, fault) or fault from None

    def organisation(self, named: str) -> str | None:
        """The id of the organisation of this name or id; None: there is none."""
        sql = "SELECT organisation_id FROM organisations WHERE ? IN (name, organisation_id)"
        found: str | None = self._connection.execute(sql, (named,)).get
        return found

    def count(self, which: UsageFilter) -> int:
        """How many there are."""
        where, values = _raced(which)
        return int(self._connection.execute(f"SELECT count(*) FROM requests WHERE {where}", values).get)  # noqa: S608

    def last(self, which: UsageFilter, count: int) -> UsageFilter:
        """The filter of the newest `count` of them."""
        where, values = _raced(which)
        sql = f"SELECT at_unix_us FROM requests WHERE {where} ORDER BY at_unix_us DESC LIMIT 1 OFFSET ?"  # noqa: S608
        since: int | None = self._connection.execute(sql, [*values, max(count - 1, 0)]).get
        return which if since is None else msgspec.structs.replace(which, since_unix_us=since)

    def read(self, which: UsageFilter) -> Iterator[tuple[RequestRecord, tuple[AttemptRecord, ...]]]:
        """Each with its attempts in order of launch; in the order of the requests' ids, which is about that of time."""
        where, values = _raced(which)
        requests = self._connection.execute(
            f"SELECT {_REQUEST} FROM requests WHERE {where} ORDER BY request_id",  # noqa: S608
            values,
        )
        attempts = self._connection.execute(
            f"SELECT {_ATTEMPT} FROM attempts WHERE request_id IN (SELECT request_id FROM requests WHERE {where}) "  # noqa: S608
            "ORDER BY request_id, ordinal",
            values,
        )
        following = next(attempts, None)
        for row in requests:
            request, own = request_from(row), []
            while following is not None and following[0] == request.request_id:
                own.append(attempt_from(following))
                following = next(attempts, None)
            yield request, tuple(own)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()


def _raced(which: UsageFilter) -> tuple[str, list[Any]]:
    where, values = conditions(which)
    return f"{where} AND window_s IS NOT NULL", values
