"""What a record says of itself."""

import pytest

from tests.archive.records import detached, observed


@pytest.mark.parametrize(
    ("changes", "runs_on"),
    [({}, True), ({"cancel_cause": "too_slow"}, False), ({"outcome": "lost"}, False), ({"outcome": "refused"}, False)],
)
def test_an_attempt_runs_on_until_it_says_why_it_was_closed(changes: dict[str, object], runs_on: bool) -> None:
    loser, winner = detached(1, **changes).attempts
    assert (loser.runs_on, winner.runs_on) == (runs_on, False)
    assert not observed(1).attempt.runs_on
