import pytest

from appliance.domain.errors import CallerFault, UpstreamFault
from appliance.domain.routing import Retry
from appliance.policy.retry import wait_s, worth_another_try


@pytest.mark.parametrize(
    ("code", "status", "worth"),
    [
        ("provider_rate_limited", 429, True),
        ("provider_refused", 503, True),
        ("provider_error", 500, True),
        ("provider_refused", None, False),  # an error inside a 200, or none at all
        ("provider_error", 408, False),
        ("provider_rejected", 400, False),
        ("provider_key_rejected", 403, False),
        ("provider_too_slow", None, False),
        ("provider_unreachable", None, False),
        ("provider_cut_off", 200, False),
    ],
)
def test_what_is_worth_another_try(code: str, status: int | None, worth: bool) -> None:
    assert worth_another_try(UpstreamFault(code), status) is worth
    assert not worth_another_try(CallerFault("bad_request"), 500)


def test_the_schedules() -> None:
    exponential, linear = Retry(5, jitter=False), Retry(5, "linear", jitter=False)
    assert [wait_s(exponential, number, None, 0.7) for number in range(1, 7)] == [0.5, 1, 2, 4, 8, 8]
    assert [wait_s(linear, number, None, 0.7) for number in (1, 2, 3, 16, 17)] == [0.5, 1, 1.5, 8, 8]


def test_the_providers_word_goes_before_and_jitter_only_shortens() -> None:
    assert wait_s(Retry(1), 1, 7.0, 0.5) == 7.0
    assert wait_s(Retry(1), 1, 4000.0, 0.5) == 60.0
    assert wait_s(Retry(1), 1, None, 0.0) == 0.5
    assert wait_s(Retry(1), 1, None, 1.0) == 0.375
