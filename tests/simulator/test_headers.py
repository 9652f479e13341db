"""Headers: what a gateway must strip is sent, what it must keep to itself is noticed."""

from appliance.simulator.headers import forbidden, is_gateway_field, rate_limits, usual


def test_answers_carry_what_a_gateway_must_strip() -> None:
    names = {name for name, _ in usual("req_1", 0.25)}
    assert names >= {"set-cookie", "alt-svc", "strict-transport-security", "openai-organization", "x-request-id"}
    assert dict(usual("req_1", 0.25))["openai-processing-ms"] == "250"


def test_exhausted_limits_say_when_to_come_back() -> None:
    told = dict(rate_limits(exhausted_s=1.5))
    assert (told["retry-after"], told["retry-after-ms"], told["x-ratelimit-remaining-requests"]) == ("1.5", "1500", "0")
    assert "retry-after" not in dict(rate_limits())


def test_what_must_not_arrive_is_named_and_never_quoted() -> None:
    headers = [
        ("cookie", "secret"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-startline-x", "1"),
        ("authorization", "Bearer sk-sl-secret"),
        ("content-type", "application/json"),
    ]
    found = forbidden(headers, {"model": "m", "start_within": 3})
    assert found == ["cookie", "x-forwarded-for", "x-startline-x", "authorization: gateway key", "body.start_within"]
    assert "secret" not in "".join(found)


def test_a_clean_request_has_nothing_forbidden() -> None:
    assert forbidden([("authorization", "Bearer sk-sim-x"), ("x-stainless-lang", "python")], {"model": "m"}) == []
    assert not is_gateway_field("service_tier")
