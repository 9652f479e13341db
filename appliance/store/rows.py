"""Usage records as rows and back. The rule: one statement inserts many rows, so that a batch takes the lock once.

Seen at 64-row batches of 39 columns: one `INSERT … VALUES (…), (…), …` costs 5.4 µs of CPU a row, `executemany` 6.2 and
a switch of the interpreter lock for each row (20 times slower beside a busy event loop), `INSERT … SELECT … FROM
json_each(?)` 29.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import apsw
import msgspec

from appliance.domain.money import Cost, total_of
from appliance.domain.record import AttemptRecord, Forecast, RequestRecord
from appliance.domain.tokens import Tokens

Row = tuple[Any, ...]


def _columns(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    names: list[str] = []
    for field in struct.__struct_fields__:
        names += [f"tokens_{part}" for part in Tokens.__struct_fields__] if field == "tokens" else [field]
    return tuple(names)


REQUEST_COLUMNS = _columns(RequestRecord)
ATTEMPT_COLUMNS = _columns(AttemptRecord)
_REQUEST_TOKENS = RequestRecord.__struct_fields__.index("tokens")
_ATTEMPT_TOKENS = AttemptRecord.__struct_fields__.index("tokens")
_TOKEN_COUNT = len(Tokens.__struct_fields__)
_FORECAST = REQUEST_COLUMNS.index("forecast")
_FORECAST_JSON = msgspec.json.Decoder(Forecast)
_CHUNKS = (64, 16, 4, 1)
_REPLACE = (
    f"UPDATE attempts SET ({', '.join(ATTEMPT_COLUMNS)}) = ({', '.join('?' * len(ATTEMPT_COLUMNS))}) "  # noqa: S608
    "WHERE request_id = ? AND ordinal = ? AND outcome = 'detached'"
)


def request_row(record: RequestRecord) -> Row:
    """The values of REQUEST_COLUMNS; a forecast is JSON text."""
    row = _flat(record, record.tokens, _REQUEST_TOKENS)
    if record.forecast is None:
        return row
    return (*row[:_FORECAST], msgspec.json.encode(record.forecast).decode(), *row[_FORECAST + 1 :])


def attempt_row(record: AttemptRecord) -> Row:
    """The values of ATTEMPT_COLUMNS."""
    return _flat(record, record.tokens, _ATTEMPT_TOKENS)


def request_from(row: Row) -> RequestRecord:
    """The record in the values of REQUEST_COLUMNS. Raises msgspec.ValidationError."""
    if (text := row[_FORECAST]) is not None:
        row = (*row[:_FORECAST], _FORECAST_JSON.decode(text), *row[_FORECAST + 1 :])
    return msgspec.convert(_nested(row, _REQUEST_TOKENS), RequestRecord, strict=False)


def attempt_from(row: Row) -> AttemptRecord:
    """The record in the values of ATTEMPT_COLUMNS. Raises msgspec.ValidationError."""
    return msgspec.convert(_nested(row, _ATTEMPT_TOKENS), AttemptRecord, strict=False)


def insert_requests(connection: apsw.Connection, records: Sequence[RequestRecord]) -> None:
    """Insert the rows; those whose request id is there already are left as they are. Raises apsw.Error."""
    _insert(connection, "requests", REQUEST_COLUMNS, [request_row(record) for record in records])


def insert_attempts(connection: apsw.Connection, records: Sequence[AttemptRecord]) -> None:
    """Insert the rows; those that are there already are left as they are. Raises apsw.Error."""
    _insert(connection, "attempts", ATTEMPT_COLUMNS, [attempt_row(record) for record in records])


def replace_observed(connection: apsw.Connection, record: AttemptRecord) -> None:
    """Put what was observed in the place of its attempt's row, and sum the request's cost anew. Raises apsw.Error.

    Doing it again changes nothing. A row that is missing or was not left running stays as it is.
    """
    connection.execute(_REPLACE, (*attempt_row(record), record.request_id, record.ordinal))
    if connection.changes():
        rows = connection.execute(
            "SELECT cost_nanos, cost_state FROM attempts WHERE request_id = ?", (record.request_id,)
        )
        total = total_of([Cost(*row) for row in rows])
        connection.execute(
            "UPDATE requests SET cost_nanos = ?, cost_state = ? WHERE request_id = ?",
            (total.nanos, total.state, record.request_id),
        )


def _flat(record: msgspec.Struct, tokens: Tokens, at: int) -> Row:
    values = msgspec.structs.astuple(record)
    return values[:at] + msgspec.structs.astuple(tokens) + values[at + 1 :]


def _nested(row: Row, at: int) -> Row:
    tokens = dict(zip(Tokens.__struct_fields__, row[at : at + _TOKEN_COUNT], strict=True))
    return (*row[:at], tokens, *row[at + _TOKEN_COUNT :])


def _insert(connection: apsw.Connection, table: str, columns: tuple[str, ...], rows: list[Row]) -> None:
    at = 0
    for size in _CHUNKS:
        while len(rows) - at >= size:
            values: list[Any] = []
            for row in rows[at : at + size]:
                values += row
            connection.execute(_statement(table, columns, size), values)
            at += size


@lru_cache(maxsize=16)
def _statement(table: str, columns: tuple[str, ...], rows: int) -> str:
    # Four sizes, so that SQLite compiles each once. Names are constants of this module, never input.
    marks = "(" + ", ".join("?" * len(columns)) + ")"
    return f"INSERT INTO {table}({', '.join(columns)}) VALUES {', '.join([marks] * rows)} ON CONFLICT DO NOTHING"  # noqa: S608
