"""Refusals: OpenAI's shape, and each one that a gateway must tell apart is there."""

import msgspec
import pytest

from appliance.simulator.faults import FAULTS, Rejected, invalid


@pytest.mark.parametrize("name", FAULTS)
def test_each_has_openai_s_error_object(name: str) -> None:
    fault = FAULTS[name]
    if fault.html:
        assert fault.body().startswith(b"<html>")
        assert fault.content_type.startswith("text/html")
        return
    assert msgspec.json.decode(fault.body()).keys() == {"error"}
    assert msgspec.json.decode(fault.body())["error"].keys() == {"message", "type", "param", "code"}
    assert msgspec.json.decode(fault.body("told"))["error"]["message"] == "told"


def test_the_kinds_of_429_differ_by_code() -> None:
    codes = [fault.code for fault in FAULTS.values() if fault.status == 429]
    known = ["billing_not_active", "insufficient_quota", "rate_limit_exceeded", "resource_unavailable"]
    assert sorted(filter(None, codes)) == known
    assert "Resource Unavailable" in FAULTS["flex_unavailable"].message


def test_statuses_a_gateway_meets_are_all_there() -> None:
    assert {fault.status for fault in FAULTS.values()} >= {400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503}


def test_rejections_do_not_carry_the_message_in_their_text() -> None:
    rejected = invalid("secret words", "n", "bad_value")
    assert isinstance(rejected, Rejected)
    assert "secret" not in str(rejected)
    assert rejected.fault.param == "n"
