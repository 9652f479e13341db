import msgspec
import pytest

from appliance.domain.routing import NO_OPTIONS, Options, Retry


def test_nothing_said_is_nothing_wished() -> None:
    assert Options() == NO_OPTIONS
    assert not NO_OPTIONS.chain and NO_OPTIONS.retry is None and not NO_OPTIONS.include_cost


@pytest.mark.parametrize(
    "value", [{}, {"count": 0}, {"count": 6}, {"count": 1, "backoff": "none"}, {"count": 1, "x": 1}]
)
def test_what_is_no_retry(value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, Retry)
