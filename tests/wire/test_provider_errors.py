from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import UpstreamFault
from appliance.wire.provider_errors import in_stream, read_error, retry_after_s, word


def headers(**values: str) -> Callable[[bytes], bytes | None]:
    table = {name.replace("_", "-").encode(): value.encode() for name, value in values.items()}
    return table.get


def error(status: int, code: object = None, tier: str | None = None, kind: object = None) -> UpstreamFault:
    body = msgspec.json.encode({"error": {"message": "m", "type": kind, "param": None, "code": code}})
    return read_error(status, headers(), body, dialect="openai_chat", provider="p", tier_asked=tier)


@pytest.mark.parametrize(
    ("status", "code", "tier", "expected", "to_caller"),
    [
        (429, "resource_unavailable", "flex", "provider_refused", 429),
        (429, None, "flex", "provider_refused", 429),
        (429, "anything_new", "flex", "provider_refused", 429),
        (429, "insufficient_quota", "flex", "provider_rate_limited", 429),
        (429, "rate_limit_exceeded", "flex", "provider_rate_limited", 429),
        (429, None, "default", "provider_rate_limited", 429),
        (429, "server_is_overloaded", "default", "provider_refused", 429),
        (498, "capacity_exceeded", "flex", "provider_refused", 498),
        (503, None, "default", "provider_refused", 503),
        (529, "overloaded_error", None, "provider_refused", 529),
        (401, "invalid_api_key", "flex", "provider_key_rejected", 403),
        (403, None, None, "provider_key_rejected", 403),
        (400, "invalid_value", "flex", "provider_rejected", 400),
        (404, "model_not_found", "flex", "provider_rejected", 404),
        (409, None, None, "provider_rejected", 409),
        (413, None, None, "provider_rejected", 413),
        (422, None, None, "provider_rejected", 422),
        (408, None, None, "provider_error", 408),
        (500, "server_error", "flex", "provider_error", 500),
        (502, None, None, "provider_error", 502),
        (504, None, None, "provider_error", 504),
        (302, None, None, "provider_error", 502),
    ],
)
def test_whose_fault_a_status_is(
    status: int, code: str | None, tier: str | None, expected: str, to_caller: int
) -> None:
    fault = error(status, code, tier)
    assert (fault.code, fault.status, fault.provider, fault.provider_code) == (expected, to_caller, "p", code)
    assert (fault.phase, fault.origin) == ("head", "provider")
    assert (fault.body is None) == (expected == "provider_key_rejected" or status == 302)


def test_the_type_decides_where_there_is_no_code() -> None:
    assert error(429, None, "flex", kind="insufficient_quota").code == "provider_rate_limited"
    assert error(500, None, None, kind="overloaded_error").code == "provider_refused"


def test_a_rejected_key_is_never_quoted() -> None:
    body = b'{"error":{"message":"Incorrect API key provided: sk-abc","code":"invalid_api_key"}}'
    fault = read_error(401, headers(), body, dialect="openai_chat", provider="acme", tier_asked=None)
    assert fault.body is None
    assert "acme" in fault.message
    assert "sk-abc" not in fault.message + repr(fault) + str(fault)


@pytest.mark.parametrize("body", [b"", b"<html>bad gateway</html>", b"[]", b"3", b"[" * 100_000, b'{"error":"\xff"}'])
def test_a_page_is_not_passed_on(body: bytes) -> None:
    fault = read_error(
        502, headers(content_type="text/html"), body, dialect="openai_chat", provider="p", tier_asked=None
    )
    assert (fault.code, fault.status, fault.body) == ("provider_error", 502, None)


def test_bodies_in_a_list_or_without_envelope_are_read() -> None:
    bodies = {"X": b'[{"error":{"code":429,"message":"m","status":"X"}}]', "429": b'{"code":429,"message":"m"}'}
    for code, body in bodies.items():
        fault = read_error(
            400, headers(content_type="application/json"), body, dialect="openai_chat", provider="p", tier_asked=None
        )
        assert (fault.provider_code, fault.body, fault.content_type) == (code, body, b"application/json")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after_ms": "250", "retry_after": "7"}, 0.25),
        ({"retry_after_ms": "soon", "retry_after": "7"}, 7.0),
        ({"retry_after": "999999999"}, 86_400.0),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 60.0),
        ({"retry_after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"retry_after": "Xyz, 99 Jan 1970"}, None),
    ],
)
def test_the_time_to_wait(values: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers(**values), now_unix_s=40.0) == expected


def test_a_date_needs_the_time() -> None:
    assert retry_after_s(headers(retry_after="Thu, 01 Jan 1970 00:01:40 GMT")) is None
    fault = read_error(429, headers(retry_after="3"), b"{}", dialect="openai_chat", provider="p", tier_asked=None)
    assert fault.retry_after_s == 3.0


@pytest.mark.parametrize(
    ("value", "tier", "expected", "status"),
    [
        ({"code": "server_is_overloaded"}, "default", "provider_refused", 503),
        ({"type": "service_unavailable_error"}, None, "provider_refused", 503),
        ({"code": 429}, "flex", "provider_refused", 429),
        ({"code": 429}, "default", "provider_rate_limited", 429),
        ({"code": "rate_limit_exceeded"}, "flex", "provider_rate_limited", 429),
        ({"code": "insufficient_quota"}, "flex", "provider_rate_limited", 429),
        ({"code": "invalid_prompt"}, None, "provider_rejected", 400),
        ({"code": "context_length_exceeded", "type": "invalid_request_error"}, None, "provider_rejected", 400),
        ({"code": 422}, None, "provider_rejected", 422),
        ({"code": 408}, None, "provider_error", 408),
        ({"code": 502}, None, "provider_error", 502),
        ({"code": "server_error"}, None, "provider_error", 502),
        ({"code": "invalid_api_key"}, None, "provider_key_rejected", 403),
        ({}, None, "provider_error", 502),
        ("boom", None, "provider_error", 502),
    ],
)
def test_whose_fault_an_error_in_a_stream_is(value: object, tier: str | None, expected: str, status: int) -> None:
    fault = in_stream(value, b"{}", provider="p", tier_asked=tier)
    assert (fault.code, fault.status, fault.phase) == (expected, status, "stream")
    assert (fault.body is None) == (expected == "provider_key_rejected")


@given(st.text() | st.integers() | st.none() | st.booleans())
def test_only_words_come_into_records(value: object) -> None:
    got = word(value)
    if got is not None:
        assert got == str(value)
        assert 0 < len(got) <= 64
        assert got.isascii()
        assert got.isprintable()
        assert " " not in got


@given(st.integers(300, 599), st.binary(max_size=50) | st.just(b'{"error":{"code":{"a":1},"type":[]}}'))
def test_any_answer_is_a_fault(status: int, body: bytes) -> None:
    fault = read_error(status, headers(), body, dialect="openai_chat", provider="p", tier_asked="flex")
    assert 400 <= fault.status <= 599


def test_a_redirect_names_the_provider_and_the_remedy() -> None:
    fault = read_error(307, lambda _: None, b"", dialect="openai_chat", provider="lab", tier_asked=None)
    assert (fault.code, fault.status) == ("provider_error", 502)
    assert "lab" in fault.message and "redirect (307)" in fault.message and "base URL" in fault.message


def google(status: int, word: str, *details: dict[str, object], tier: str | None = "flex") -> UpstreamFault:
    error = {"code": status, "message": "x", "status": word, "details": list(details)}
    body = msgspec.json.encode({"error": error})
    return read_error(status, headers(), body, dialect="gemini_generate", provider="p", tier_asked=tier)


QUOTA: dict[str, object] = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []}
RETRY: dict[str, object] = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"}
BAD_KEY: dict[str, object] = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


def test_googles_errors_by_their_details() -> None:
    assert google(503, "UNAVAILABLE").code == "provider_refused"
    assert google(429, "RESOURCE_EXHAUSTED").code == "provider_refused"
    assert google(429, "RESOURCE_EXHAUSTED", tier="standard").code == "provider_rate_limited"
    quota = google(429, "RESOURCE_EXHAUSTED", QUOTA, RETRY)
    assert (quota.code, quota.retry_after_s, quota.provider_code) == (
        "provider_rate_limited",
        37.5,
        "RESOURCE_EXHAUSTED",
    )
    key = google(400, "INVALID_ARGUMENT", BAD_KEY)
    assert (key.code, key.status, key.body) == ("provider_key_rejected", 403, None)
    assert google(400, "INVALID_ARGUMENT").code == "provider_rejected"
    assert google(500, "INTERNAL", {"@type": 3, "retryDelay": "soon"}).retry_after_s is None


def test_a_bill_that_is_not_paid_is_a_quota() -> None:
    body = b'{"type":"error","error":{"type":"billing_error","message":"x"}}'
    fault = read_error(402, headers(), body, dialect="anthropic_messages", provider="p", tier_asked=None)
    assert (fault.code, fault.status, fault.family, fault.body) == ("provider_rate_limited", 402, "anthropic", body)


def test_interactions_reject_a_key_in_words_alone() -> None:
    body = b'{"error":{"message":"API key not valid. Please pass a valid API key.","code":"invalid_argument"}}'
    for dialect, code in (("gemini_interactions", "provider_key_rejected"), ("openai_chat", "provider_rejected")):
        fault = read_error(400, lambda _: None, body, dialect=dialect, provider="p", tier_asked=None)
        assert fault.code == code
