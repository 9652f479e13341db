"""How an attempt ended, in the words of the record."""

from typing import Any

import pytest

from appliance.domain.errors import UpstreamFault
from appliance.request.work import Work


class Ended:
    """As much of an attempt as its outcome needs."""

    def __init__(self, end: str, fault: UpstreamFault | None = None, started_s: float | None = None) -> None:
        self.ordinal, self.end, self.fault, self.started_s = 1, end, fault, started_s


@pytest.mark.parametrize(
    ("attempt", "cause", "gone", "won", "outcome"),
    [
        (Ended("complete"), None, False, True, "won"),
        (Ended("complete"), None, True, True, "won"),
        (Ended("failed", UpstreamFault("provider_refused")), None, False, False, "refused"),
        (Ended("failed", UpstreamFault("provider_error")), None, False, False, "failed"),
        (Ended("failed", UpstreamFault("provider_refused"), 1.0), None, False, True, "failed"),
        (Ended("failed", UpstreamFault("provider_cut_off")), None, False, True, "failed"),
        (Ended("cancelled"), "lost_race", False, False, "lost"),
        (Ended("cancelled"), "too_slow", False, False, "cancelled"),
        (Ended("cancelled"), None, True, False, "client_gone"),
        (Ended("cancelled"), None, True, True, "client_gone"),
        (Ended("cancelled"), None, False, True, "cancelled"),
    ],
)
def test_outcomes(attempt: Any, cause: Any, gone: bool, won: bool, outcome: str) -> None:
    work = Work(None)  # type: ignore[arg-type]
    work.client_gone = gone
    if cause is not None:
        work.causes[1] = cause
    if won:
        work.winner = attempt
    assert work.outcome_of(attempt) == outcome


def test_a_fault_lets_go_of_its_frames() -> None:
    work = Work(None)  # type: ignore[arg-type]
    work.forget_frames()
    try:
        try:
            raise KeyError
        except KeyError:
            raise UpstreamFault("provider_error") from None
    except UpstreamFault as fault:
        work.fault = fault
    work.forget_frames()
    assert (work.fault.__traceback__, work.fault.__context__) == (None, None)
