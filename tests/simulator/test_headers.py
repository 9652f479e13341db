"""Headers: what a gateway must keep to itself is noticed."""

from appliance.simulator.headers import forbidden, is_gateway_field


def test_what_must_not_arrive_is_named_and_never_quoted() -> None:
    headers = [
        ("cookie", "secret"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-startline-x", "1"),
        ("authorization", "Bearer sk-sl-secret"),
        ("content-type", "application/json"),
    ]
    found = forbidden(headers, {"model": "m", "start_within": 3, "ladder": ["a/b"]})
    assert found == [
        "cookie",
        "x-forwarded-for",
        "x-startline-x",
        "authorization: gateway key",
        "body.start_within",
        "body.ladder",
    ]
    assert "secret" not in "".join(found)


def test_a_clean_request_has_nothing_forbidden() -> None:
    assert forbidden([("authorization", "Bearer sk-sim-x"), ("x-stainless-lang", "python")], {"model": "m"}) == []
    assert not is_gateway_field("service_tier")


def test_a_provider_s_own_credential_is_not_forbidden_and_another_s_is() -> None:
    headers = [("x-api-key", "sk-sim-x")]
    assert forbidden(headers, {}, frozenset(("x-api-key",))) == []
    assert forbidden(headers, {}, frozenset(("x-goog-api-key",))) == ["x-api-key"]
    assert forbidden([], {}, target="/v1beta/models?key=sk-sl-secret") == ["target: gateway key"]
