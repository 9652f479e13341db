import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import FAULTS, ApplianceFault, CallerFault, Fault, UpstreamFault
from appliance.wire.faults import block, fault_body, fault_header

KEYS = ["code", "class", "origin", "status", "provider", "provider_code", "retryable", "doc_url"]


@pytest.mark.parametrize("code", sorted(FAULTS))
def test_anthropics_and_googles_envelopes_have_the_block_too(code: str) -> None:
    fault = Fault(code)
    theirs = msgspec.json.decode(fault_body(fault, "anthropic_count", "req_1")[0])
    assert (theirs["type"], theirs["request_id"]) == ("error", "req_1")
    assert list(theirs["error"]) == ["type", "message", "startline"]
    google = msgspec.json.decode(fault_body(fault, "gemini_generate", "req_1")[0])
    assert list(google) == ["error"]
    assert list(google["error"]) == ["code", "message", "status", "startline"]
    assert google["error"]["code"] == fault.status
    assert google["error"]["startline"] == theirs["error"]["startline"] == block(fault)


@pytest.mark.parametrize(
    ("status", "type_", "google"),
    [
        (400, "invalid_request_error", "INVALID_ARGUMENT"),
        (401, "authentication_error", "UNAUTHENTICATED"),
        (404, "not_found_error", "NOT_FOUND"),
        (418, "invalid_request_error", "INVALID_ARGUMENT"),
        (429, "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (500, "api_error", "INTERNAL"),
        (503, "overloaded_error", "UNAVAILABLE"),
        (529, "overloaded_error", "INTERNAL"),
    ],
)
def test_the_status_names_the_kind_of_error(status: int, type_: str, google: str) -> None:
    fault = UpstreamFault("provider_error", status=status)
    assert msgspec.json.decode(fault_body(fault, "anthropic_messages", "")[0])["error"]["type"] == type_
    assert msgspec.json.decode(fault_body(fault, "gemini_generate", "")[0])["error"]["status"] == google


def test_across_dialects_a_providers_message_is_kept() -> None:
    own = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded","secret":1}}'
    fault = UpstreamFault("provider_refused", status=529, body=own, family="anthropic")
    assert fault_body(fault, "anthropic_messages", "")[0] is own
    for dialect in ("openai_chat", "gemini_generate"):
        error = msgspec.json.decode(fault_body(fault, dialect, "")[0])["error"]
        assert error["message"] == "Overloaded"
        assert "secret" not in error
        assert error["startline"]["status"] == 529


@pytest.mark.parametrize("code", sorted(FAULTS))
def test_every_fault_has_the_envelope_and_the_block(code: str) -> None:
    fault = Fault(code, param="x")
    body, content_type = fault_body(fault, "openai_chat", "req_1")
    answer = msgspec.json.decode(body)
    error = answer["error"]
    assert content_type == b"application/json"
    assert answer["request_id"] == "req_1"
    assert list(error) == ["message", "type", "param", "code", "startline"]
    assert (error["code"], error["param"]) == (code, "x")
    assert list(error["startline"]) == KEYS
    assert error["startline"] == block(fault) == msgspec.json.decode(fault_header(fault))
    assert (error["type"] == "rate_limit_error") == (fault.status == 429)


def test_the_block_says_whose_fault_it_is() -> None:
    assert block(CallerFault("bad_json"))["origin"] == block(ApplianceFault("vault_locked"))["origin"] == "startline"
    got = block(UpstreamFault("provider_error", status=500, provider="openai", provider_code="server_error"))
    assert got["origin"] == "provider"
    assert (got["status"], got["provider"], got["provider_code"], got["retryable"]) == (
        500,
        "openai",
        "server_error",
        True,
    )
    suffixed = block(CallerFault("flex_unsupported", suffix="_for_local"))
    assert suffixed["code"] == "flex_unsupported_for_local"
    assert suffixed["doc_url"].endswith("#flex_unsupported")


def test_a_providers_own_error_passes_byte_for_byte_in_its_dialect() -> None:
    own = b' {"error" : {"message":"\\u00e9"}}'
    fault = UpstreamFault("provider_rejected", body=own, content_type=b"application/json; charset=utf-8")
    assert fault_body(fault, "openai_responses", "req_1") == (own, b"application/json; charset=utf-8")
    translated, _ = fault_body(fault, "anthropic_messages", "req_1")
    assert msgspec.json.decode(translated)["error"]["startline"]["code"] == "provider_rejected"


def test_without_a_request_id_none_is_told() -> None:
    assert "request_id" not in msgspec.json.decode(fault_body(Fault("bad_json"), "openai_chat", "")[0])


@given(st.text(st.characters(codec="utf-8")))
def test_the_header_is_printable_ascii_whatever_a_provider_is_called(name: str) -> None:
    header = fault_header(Fault("provider_error", provider=name))
    assert all(0x20 <= byte < 0x7F for byte in header)
    assert msgspec.json.decode(header)["provider"] == name


def test_interactions_have_a_word_as_code() -> None:
    told = msgspec.json.decode(fault_body(CallerFault("bad_request", "mend it"), "gemini_interactions", "")[0])["error"]
    assert (told["code"], told["message"], told["startline"]["code"]) == ("invalid_argument", "mend it", "bad_request")
    own = b'{"error":{"code":"invalid_argument","message":"theirs"}}'
    other = b'{"error":{"code":400,"message":"theirs","status":"INVALID_ARGUMENT"}}'
    for body, expected in ((own, own), (other, None)):
        fault = UpstreamFault("provider_rejected", status=400, provider="p", body=body, family="gemini")
        written = fault_body(fault, "gemini_interactions", "")[0]
        assert written == expected or expected is None
        assert msgspec.json.decode(written)["error"]["message"] == "theirs"
        assert msgspec.json.decode(written)["error"]["code"] == "invalid_argument"


def test_a_refused_thread_is_told_so_that_the_sdk_goes_on_without() -> None:
    body, _ = fault_body(CallerFault("inexpressible", param="thread"), "anthropic_messages", "req_1")
    details = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    assert msgspec.json.decode(body)["error"]["details"] == details
    body, _ = fault_body(CallerFault("inexpressible", param="top_k"), "anthropic_messages", "req_1")
    assert "details" not in msgspec.json.decode(body)["error"]
