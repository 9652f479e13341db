from typing import Any

import msgspec
import pytest

from appliance.domain.errors import CallerFault
from appliance.domain.routing import NO_OPTIONS, Options, Retry
from appliance.wire.body import RequestBody
from appliance.wire.routing_fields import read_options


def read(**fields: Any) -> tuple[Options, tuple[str, ...]]:
    return read_options(RequestBody.decode(msgspec.json.encode({"model": "m"} | fields)))


def test_what_is_ours() -> None:
    assert read() == (NO_OPTIONS, ())
    assert read(provider=["a", "b", "c"]) == (Options(("a", "b", "c")), ("provider",))
    assert read(retry={"count": 2, "jitter": False}) == (Options((), Retry(2, jitter=False)), ("retry",))
    assert read(include_cost=True) == (Options((), None, True), ("include_cost",))
    assert read(retry=None, include_cost=None) == (NO_OPTIONS, ("retry", "include_cost"))


def test_the_provider_of_somebody_else_is_left_alone() -> None:
    assert read(provider={"order": ["a"]}) == (NO_OPTIONS, ())
    assert read(provider="a") == (NO_OPTIONS, ())


@pytest.mark.parametrize("chain", [[], ["a", "a"], ["a", "b", "c", "d"], [1], [""], [["a"]], ["x" * 65]])
def test_what_is_no_chain(chain: Any) -> None:
    with pytest.raises(CallerFault, match="invalid_provider_chain"):
        read(provider=chain)


@pytest.mark.parametrize("fields", [{"retry": 3}, {"retry": {"count": 9}}, {"include_cost": "yes"}])
def test_what_is_no_retry_and_no_flag(fields: dict[str, Any]) -> None:
    with pytest.raises(CallerFault) as fault:
        read(**fields)
    assert fault.value.param in ("retry", "include_cost")
