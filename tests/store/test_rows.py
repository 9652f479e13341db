"""Records survive the database, hostile text included, in any number of rows at once."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.domain.catalog import Rung
from appliance.domain.record import AttemptRecord, Forecast, RequestRecord
from appliance.store.database import open_database
from appliance.store.rows import (
    ATTEMPT_COLUMNS,
    REQUEST_COLUMNS,
    attempt_from,
    insert_attempts,
    insert_requests,
    request_from,
)
from appliance.store.schema import migrate
from tests.archive.records import settled

TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = open_database(tmp_path / "x.db")
    migrate(connection, tmp_path, 1)
    yield connection
    connection.close()


def requests_in(connection: apsw.Connection) -> list[RequestRecord]:
    rows = connection.execute(f"SELECT {', '.join(REQUEST_COLUMNS)} FROM requests ORDER BY request_id")
    return [request_from(row) for row in rows]


def attempts_in(connection: apsw.Connection) -> list[AttemptRecord]:
    rows = connection.execute(f"SELECT {', '.join(ATTEMPT_COLUMNS)} FROM attempts ORDER BY request_id, ordinal")
    return [attempt_from(row) for row in rows]


@pytest.mark.parametrize("count", [0, 1, 3, 16, 64, 149])
def test_any_number_round_trips(connection: apsw.Connection, count: int) -> None:
    records = [settled(number) for number in range(count)]
    insert_requests(connection, [record.request for record in records])
    insert_attempts(connection, [attempt for record in records for attempt in record.attempts])
    assert requests_in(connection) == [record.request for record in records]
    assert attempts_in(connection) == [attempt for record in records for attempt in record.attempts]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.builds(
        RequestRecord,
        request_id=TEXT.map(lambda text: "req_" + text), model_asked=TEXT, at_unix_us=st.integers(0, 2**62),
        model_dispatched=st.none() | TEXT, total_s=st.floats(0, 1e9), deadline_met=st.none() | st.booleans(),
        cost_nanos=st.none() | st.integers(0, 2**62), to_start_s=st.none() | st.floats(0, 1e9),
        organisation_id=TEXT, key_id=TEXT, endpoint=TEXT, dialect=TEXT, provider=st.none() | TEXT, base_url=TEXT,
        tier_asked=TEXT, tier_sent=TEXT, tier_served=TEXT, reason=TEXT, status=st.integers(0, 999),
        received_bytes=st.integers(0, 2**62),
    )
)  # fmt: skip
def test_any_record_round_trips(connection: apsw.Connection, record: RequestRecord) -> None:
    connection.execute("DELETE FROM requests")
    insert_requests(connection, [record])
    assert requests_in(connection) == [record]


def test_rows_that_are_there_stay_as_they_are(connection: apsw.Connection) -> None:
    insert_requests(connection, [settled(1).request])
    insert_requests(connection, [settled(1, status=500).request, settled(2).request])
    assert [record.status for record in requests_in(connection)] == [200, 200]


def test_wrong_types_are_refused(connection: apsw.Connection) -> None:
    with pytest.raises(apsw.ConstraintError):
        insert_requests(connection, [msgspec.structs.replace(settled(1).request, status="ok")])


def test_a_forecast_is_kept_whole(connection: apsw.Connection) -> None:
    rungs = (Rung("openai", "gpt-x", "flex"), Rung("local", "llama", None))
    forecast = Forecast(
        0.99, 0.995, 0.991, 0, 1, 6.8, 740, 1000, "latest_launch", 812.5, rungs, ((6.8, 7.25), (9.0, 9.5)), 1200, 300
    )
    facts = {"target": 0.99, "finish_s": 60.0, "finish_met": True, "forecast": forecast, "preset": "night"}
    records = [settled(1, **facts, size_class=2).request, settled(2).request]
    insert_requests(connection, records)
    assert requests_in(connection) == records
