"""Routes of dialects: a refusal keeps the framing that the answer would have had."""

import msgspec

from appliance.simulator import gemini
from appliance.simulator.dialect import Route
from appliance.simulator.faults import FAULTS


def test_the_refusal_of_an_array_is_an_array() -> None:
    fault = gemini.FAULTS["overloaded"]
    alone = msgspec.json.decode(Route(family=gemini).error(fault, "", ""))
    assert msgspec.json.decode(Route(family=gemini, array=True).error(fault, "", "")) == [alone]


def test_a_proxy_s_page_is_never_framed() -> None:
    assert Route(family=gemini, array=True).error(FAULTS["bad_gateway"], "", "").startswith(b"<html>")
