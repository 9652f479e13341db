from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import CallerFault
from appliance.domain.tier import Window
from appliance.wire import openai_chat
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Asked


def asked(header: bytes | None = None, **fields: Any) -> Asked:
    return openai_chat.read_request(RequestBody.decode(msgspec.json.encode({"model": "m"} | fields)), header)


def sent(got: Asked, tier: str | None = None, *, stream: bool = False, add_usage: bool = False) -> dict[str, Any]:
    data = openai_chat.upstream_body(got, model=got.model, tier=tier, stream=stream, add_usage=add_usage)
    value: dict[str, Any] = msgspec.json.decode(data)
    return value


@pytest.mark.parametrize(
    ("header", "fields", "within"),
    [
        (None, {}, None),
        (None, {"start_within": None}, None),
        (None, {"start_within": "flex"}, "flex"),
        (None, {"start_within": 30}, Window(30.0)),
        (None, {"start_within": 0.5}, Window(0.5)),  # whether that is too short is admission's to say
        (None, {"start_within": "00h-01m-30s"}, Window(90.0)),
        (b"30s", {}, Window(30.0)),
        (b" priority ", {}, "priority"),
        (b"30s", {"start_within": "5s"}, Window(5.0)),
    ],
)
def test_start_within(header: bytes | None, fields: dict[str, Any], within: object) -> None:
    assert asked(header, **fields).start_within == within


@pytest.mark.parametrize(
    ("header", "fields", "code", "param"),
    [
        (None, {"start_within": "soon"}, "invalid_start_within", "start_within"),
        (None, {"start_within": "0.5.5"}, "invalid_start_within", "start_within"),
        (None, {"start_within": True}, "invalid_start_within", "start_within"),
        (None, {"start_within": ["30s"]}, "invalid_start_within", "start_within"),
        (b"\xff", {}, "invalid_start_within", "start_within"),
        (b"", {}, "invalid_start_within", "start_within"),
        (None, {"start_within": "30s", "service_tier": "flex"}, "service_tier_not_allowed", "service_tier"),
        (b"30s", {"service_tier": "default"}, "service_tier_not_allowed", "service_tier"),
        (None, {"service_tier": 3}, "bad_request", "service_tier"),
        (None, {"model": None}, "missing_model", "model"),
        (None, {"model": ""}, "missing_model", "model"),
        (None, {"model": 3}, "bad_request", "model"),
        (None, {"model": "m" * 600}, "bad_request", "model"),
        (None, {"stream": "yes"}, "bad_request", "stream"),
        (None, {"stream": True, "stream_options": 3}, "bad_request", "stream_options"),
    ],
)
def test_what_is_wrong_is_named(header: bytes | None, fields: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(CallerFault) as caught:
        asked(header, **fields)
    assert (caught.value.code, caught.value.param, caught.value.status) == (code, param, 400)


def test_no_model_at_all() -> None:
    with pytest.raises(CallerFault) as caught:
        openai_chat.read_request(RequestBody.decode(b"{}"), None)
    assert caught.value.code == "missing_model"


@pytest.mark.parametrize("tier", ["flex", "default", "auto", "priority", "fast", "scale", "on_demand", None])
def test_the_clients_tier_is_told_as_sent(tier: str | None) -> None:
    assert asked(service_tier=tier).service_tier == tier


def test_limits_that_are_no_numbers_are_the_providers_business() -> None:
    assert asked(max_tokens="many", max_completion_tokens=None).max_output_tokens is None
    assert asked(max_tokens=4, max_completion_tokens=None).max_output_tokens == 4


def test_the_input_is_estimated_from_the_bytes() -> None:
    assert asked(messages="x" * 4000).estimated_input_tokens == pytest.approx(1000, abs=20)


def test_exactly_the_tier_told_is_sent() -> None:
    assert "service_tier" not in sent(asked(service_tier="flex"), None)
    assert "service_tier" not in sent(asked(service_tier=None), None)
    assert sent(asked(service_tier="flex"), "default")["service_tier"] == "default"
    assert sent(asked(), "flex")["service_tier"] == "flex"
    assert sent(asked(service_tier="fast"), "fast")["service_tier"] == "fast"


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False, "include_obfuscation": False}])
def test_usage_is_asked_for_when_told(options: dict[str, Any] | None) -> None:
    got = asked(stream=True, stream_options=options)
    assert not got.include_usage
    assert sent(got, stream=True, add_usage=True)["stream_options"] == (options or {}) | {"include_usage": True}
    assert sent(got, stream=True, add_usage=False)["stream_options"] == options


def test_a_race_streams_though_the_client_did_not() -> None:
    for fields in ({}, {"stream": False}, {"stream": None}):
        value = sent(asked(**fields), stream=True, add_usage=True)
        assert value["stream"] is True
        assert value["stream_options"] == {"include_usage": True}
    assert "stream" not in sent(asked())
    assert "stream_options" not in sent(asked(), add_usage=True)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(
    st.dictionaries(st.sampled_from(["messages", "tools", "temperature", "seed", "x", "user", "é"]), JSON),
    st.sampled_from([None, "30s", "flex"]), st.booleans(), st.sampled_from([None, "flex", "default"]), st.booleans(),
)  # fmt: skip
def test_everything_else_is_sent_as_it_came(
    others: dict[str, Any], within: str | None, asks_stream: bool, tier: str | None, stream: bool
) -> None:
    mine = {"start_within": within, "model": "p/m", "stream": asks_stream}
    got = openai_chat.read_request(RequestBody.decode(msgspec.json.encode(mine | others)), None)
    data = openai_chat.upstream_body(got, model="m", tier=tier, stream=stream or asks_stream, add_usage=False)
    value = msgspec.json.decode(data)
    assert value.pop("model") == "m"
    assert value.pop("service_tier", None) == tier
    assert value.pop("stream") == (stream or asks_stream)
    assert value == others
    assert list(value) == list(others)


@pytest.mark.parametrize(
    ("limit", "kept"), [(0, 0), (4096, 4096), (10**8, 10**8), (10**8 + 1, None), (10**18, None), (-5, None)]
)
def test_a_limit_that_no_model_has_is_none(limit: int, kept: int | None) -> None:
    assert asked(max_completion_tokens=limit).max_output_tokens == kept
    huge = RequestBody.decode(b'{"model":"m","max_completion_tokens":1' + b"0" * 40 + b"}")
    assert openai_chat.read_request(huge, None).max_output_tokens is None
