"""OpenAI as a provider: what a gateway must strip is sent, and limits say when to come back."""

from appliance.simulator.openai import headers, limits


def test_answers_carry_what_a_gateway_must_strip() -> None:
    names = {name for name, _ in headers("req_1", 0.25, "default")}
    assert names >= {"set-cookie", "alt-svc", "strict-transport-security", "openai-organization", "x-request-id"}
    assert dict(headers("req_1", 0.25, "default"))["openai-processing-ms"] == "250"


def test_exhausted_limits_say_when_to_come_back() -> None:
    told = dict(limits(exhausted_s=1.5))
    assert (told["retry-after"], told["retry-after-ms"], told["x-ratelimit-remaining-requests"]) == ("1.5", "1500", "0")
    assert "retry-after" not in dict(limits())
