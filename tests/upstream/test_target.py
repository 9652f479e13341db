"""The head of a call: built anew, and no value can break a line."""

import msgspec
import pytest

from appliance.domain.catalog import Provider
from appliance.upstream.target import request_head, target

PLAIN = Provider("prov", "org", "p", "openai", "https://api.test/v1")


def lines(head: bytes) -> list[bytes]:
    assert head.endswith(b"\r\n\r\n") and head.count(b"\r\n\r\n") == 1
    return head[:-4].split(b"\r\n")


def test_a_head() -> None:
    head = request_head(
        target(PLAIN, b"/chat/completions"), "sk-1", [(b"user-agent", b"sdk/1")], stream=True, length=12
    )
    assert lines(head) == [
        b"POST /v1/chat/completions HTTP/1.1",
        b"host: api.test",
        b"accept-encoding: identity",
        b"content-type: application/json",
        b"authorization: Bearer sk-1",
        b"accept: text/event-stream",
        b"user-agent: sdk/1",
        b"content-length: 12",
    ]


def test_a_get_has_no_content() -> None:
    found = lines(request_head(target(PLAIN, b"/models", b"GET"), "sk-1", [], stream=False, length=None))
    assert found[0] == b"GET /v1/models HTTP/1.1"
    assert not [line for line in found if line.startswith(b"content-")]
    assert b"accept: application/json" in found


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\rb", "a\0b", "ü", "\x7f", " a "])
def test_no_value_breaks_a_line(value: str) -> None:
    provider = Provider("prov", "org", "p", "openai", "https://api.test", headers=(("X-Org", value),))
    head = request_head(target(provider, b"/x"), value, [(b"user-agent", value.encode())], stream=False, length=0)
    found = lines(head)
    assert len(found) == 9
    assert all(line.isascii() and line.decode().isprintable() for line in found)


def test_each_attempt_has_an_idempotency_key_of_its_own() -> None:
    keys = [
        next(line for line in lines(head) if line.startswith(b"idempotency-key"))
        for head in (
            request_head(
                target(PLAIN, b"/x"), "s", [(b"idempotency-key", b"abc")], stream=True, length=0, ordinal=ordinal
            )
            for ordinal in (1, 2, 3)
        )
    ]
    assert keys == [b"idempotency-key: abc", b"idempotency-key: abc-2", b"idempotency-key: abc-3"]


def test_the_credential_is_in_no_target() -> None:
    made = target(PLAIN, b"/x")
    request_head(made, "a-credential", [], stream=True, length=0)
    assert "a-credential" not in repr(made)


def test_a_bad_base_url_is_refused() -> None:
    with pytest.raises(ValueError):
        target(Provider("prov", "org", "p", "openai", "nowhere"), b"/x")


@pytest.mark.parametrize(
    ("facts", "dialect", "line"),
    [
        ({"kind": "openai"}, "", b"authorization: Bearer sk-1"),
        ({"kind": "openai_compatible", "auth": "api-key"}, "openai_chat", b"api-key: sk-1"),
        ({"kind": "anthropic"}, "anthropic_messages", b"x-api-key: sk-1"),
        ({"kind": "anthropic", "auth": "bearer"}, "", b"authorization: Bearer sk-1"),
        ({"kind": "gemini"}, "", b"x-goog-api-key: sk-1"),
    ],
)
def test_the_header_of_the_credential(facts: dict[str, str], dialect: str, line: bytes) -> None:
    provider = msgspec.structs.replace(PLAIN, **facts)
    head = request_head(target(provider, b"/x", dialect=dialect), "sk-1", [], stream=False, length=0)
    assert [found for found in lines(head) if b"sk-1" in found] == [line]


def test_a_dialect_may_be_spoken_elsewhere() -> None:
    elsewhere = (("openai_chat", ""), ("anthropic_messages", "https://other.test/anthropic/v1"))
    provider = msgspec.structs.replace(PLAIN, dialects=elsewhere)
    assert target(provider, b"/x", dialect="openai_chat").origin.host == "api.test"
    other = target(provider, b"/messages?a=b c", dialect="anthropic_messages")
    assert other.origin.host == "other.test"
    assert other.start.startswith(b"POST /anthropic/v1/messages?a=b%20c HTTP/1.1\r\n")
    with pytest.raises(ValueError):
        target(provider, b"/x", dialect="openai_responses")
