"""What the official SDK for Python raises when something goes wrong, and what is recorded of it."""

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import openai
import pytest

from tests.end_to_end.asking import chat, response
from tests.end_to_end.processes import command
from tests.end_to_end.records import check
from tests.end_to_end.stage import PROVIDER_SECRET, Json, Stage

pytestmark = pytest.mark.sockets


def block(caught: "pytest.ExceptionInfo[Any]") -> Json:
    """The block that is the same in every error; the provider's own error carries it in a header."""
    header = caught.value.response.headers.get("x-startline-error")
    told: Json = msgspec.json.decode(header) if header else caught.value.body["startline"]
    return told


@pytest.fixture(scope="module")
def management_key(whole_stage: Stage) -> str:
    made = command("key", "create", "--name", "desk", "--management", "--json", environ=whole_stage.environ)
    return str(msgspec.json.decode(made)["key"])


def test_keys_that_do_not_open(stage: Stage, management_key: str) -> None:
    other = "A" if stage.key[30] != "A" else "B"
    for key, code in (
        (stage.key[:30] + other + stage.key[31:], "invalid_api_key"),
        (stage.key[:-3], "invalid_api_key"),
        ("sk-anything", "invalid_api_key"),
        (management_key, "wrong_key_kind"),
    ):
        with stage.client(api_key=key) as client, pytest.raises(openai.AuthenticationError) as caught:
            client.chat.completions.create(**chat("hello", "none"))
        assert caught.value.code == code
        assert caught.value.status_code == 401
        assert key not in str(caught.value)
    assert stage.take(0) == [], "a stranger leaves no rows"


def test_a_revoked_key_ends(stage: Stage) -> None:
    made = msgspec.json.decode(command("key", "create", "--name", "short", "--json", environ=stage.environ))
    mark = stage.mark()
    with stage.client(api_key=made["key"]) as client:
        stream = client.chat.completions.create(**chat("on", mark, "tokens=500,tokens_per_s=5"), stream=True)
        next(stream)
        command("key", "revoke", "short", environ=stage.environ)
        with pytest.raises(openai.APIError):
            list(stream)
        with pytest.raises(openai.AuthenticationError) as caught:
            client.models.list()
    assert caught.value.code == "revoked_api_key"
    (entry,) = stage.served(mark)
    (told,) = stage.take()
    assert entry["outcome"] == "client_gone"
    assert told.request["error_code"] == "revoked_api_key"
    assert (told.attempts[0]["outcome"], told.attempts[0]["cancel_cause"]) == ("cancelled", "revoked")
    check(told, [entry])


def test_an_unknown_model(stage: Stage) -> None:
    with stage.client() as client, pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**chat("hello", "none", model="gpt-5.4-minni"))
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "gpt-5.4-mini" in caught.value.message
    (told,) = stage.take()
    assert (told.request["status"], told.request["error_code"]) == (404, "model_not_found")
    assert told.request["model_asked"] == "(unlisted)"
    assert told.attempts == []


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"extra_body": {"start_within": "soon"}}, "invalid_start_within"),
        ({"extra_body": {"start_within": "0.5s"}}, "invalid_start_within"),
        ({"extra_body": {"start_within": "3s"}, "service_tier": "flex"}, "service_tier_not_allowed"),
        ({"extra_body": {"Service_Tier": "flex"}}, "bad_request"),
    ],
)
def test_requests_that_cannot_be_meant(stage: Stage, more: Json, code: str) -> None:
    with stage.client() as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**chat("hello", "none", **more))
    assert caught.value.code == code
    (told,) = stage.take()
    assert (told.request["status"], told.request["error_code"], told.attempts) == (400, code, [])


@pytest.mark.parametrize("way", [{}, {"start_within": "1s"}], ids=["direct", "raced"])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_quota_at_the_provider(stage: Stage, api: str, way: Json) -> None:
    for fault, wait in (("insufficient_quota", None), ("rate_limit_exceeded", "2")):
        mark = stage.mark()
        asked = (chat if api == "chat" else response)("hello", mark, f"refuse={fault}", extra_body=way)
        with stage.client() as client, pytest.raises(openai.RateLimitError) as caught:
            (client.chat.completions if api == "chat" else client.responses).create(**asked)
        assert caught.value.code == fault
        assert caught.value.response.headers.get("retry-after") == wait
        assert block(caught)["origin"] == "provider"
        entries = stage.served(mark)
        (told,) = stage.take()
        assert told.request["status"] == 429
        assert (told.request["error_origin"], told.attempts[-1]["provider_code"]) == ("provider", fault)
        check(told, entries)


@pytest.mark.parametrize("fault", ["insufficient_quota", "server_error", "overloaded", "invalid_request", "timeout"])
def test_the_providers_error_passes_byte_for_byte(stage: Stage, fault: str) -> None:
    asked = chat("hello", mark := stage.mark(), f"refuse={fault},message=n%C3%B6 \u2192 %22quoted%22%0A")
    direct = httpx.post(
        f"{stage.provider_url}/chat/completions",
        json=asked | {"metadata": {"simulator": asked["metadata"]["simulator"].replace(mark, "direct")}},
        headers={"authorization": f"Bearer {PROVIDER_SECRET}"},
        trust_env=False,
    )
    with stage.client() as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**asked)
    assert caught.value.status_code == direct.status_code
    assert caught.value.response.content == direct.content
    assert caught.value.response.headers["content-type"] == direct.headers["content-type"]
    assert block(caught)["status"] == direct.status_code
    entries = stage.served(mark)
    (told,) = stage.take()
    check(told, entries)


def test_a_proxys_page_is_not_passed_on(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(**chat("hello", mark, "refuse=bad_gateway"))
    assert caught.value.status_code == 502
    assert b"<html" not in caught.value.response.content
    assert caught.value.code == "provider_error"
    entries = stage.served(mark)
    (told,) = stage.take()
    check(told, entries)


def test_the_providers_key_is_the_operators_affair(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client, pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(**chat("hello", mark, "refuse=invalid_api_key"))
    assert caught.value.code == "provider_key_rejected"
    assert "Incorrect API key" not in str(caught.value)
    (told,) = stage.take()
    assert told.request["status"] == 403


def texts(stream: Iterator[Any]) -> Iterator[str]:
    """The words of a chat or Responses stream, as they come."""
    for event in stream:
        if getattr(event, "choices", None):
            yield event.choices[0].delta.content or ""
        elif getattr(event, "type", "") == "response.output_text.delta":
            yield event.delta


@pytest.mark.parametrize("way", [{}, {"start_within": "1s"}], ids=["direct", "raced"])
@pytest.mark.parametrize("fate", ["error=4", "cut=4", "reset=4"])
def test_a_chat_stream_that_fails_raises(stage: Stage, fate: str, way: Json) -> None:
    mark = stage.mark()
    said: list[str] = []
    with stage.client() as client:
        asked = chat("go on", mark, f"tokens=20,tokens_per_s=200,{fate}", extra_body=way)
        stream = client.chat.completions.create(**asked, stream=True)
        with pytest.raises(openai.APIError) as caught:
            said.extend(texts(stream))
    assert any(said), "it began"
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["startline"]["class"] == "upstream"
    entries = stage.served(mark)
    (told,) = stage.take()
    assert told.request["status"] == 200, "what the client was sent"
    assert told.request["error_origin"] == "provider"
    assert told.request["error_code"] == ("provider_refused" if fate == "error=4" else "provider_cut_off")
    check(told, entries)


@pytest.mark.parametrize("fate", ["error=4", "cut=4"])
def test_a_responses_stream_that_fails_never_completes(stage: Stage, fate: str) -> None:
    mark = stage.mark()
    kinds: list[str] = []
    with stage.client() as client:
        stream = client.responses.create(**response("go on", mark, f"tokens=20,tokens_per_s=200,{fate}"), stream=True)
        try:
            for event in stream:
                kinds.append(event.type)
        except openai.APIError:
            kinds.append("raised")
    assert "response.output_text.delta" in kinds
    assert "response.completed" not in kinds
    assert kinds[-1] in ("error", "response.failed", "raised")
    entries = stage.served(mark)
    (told,) = stage.take()
    assert told.request["error_origin"] == "provider"
    check(told, entries)


@pytest.mark.parametrize("way", [{}, {"start_within": "1s"}], ids=["direct", "raced"])
def test_an_unstreamed_answer_that_is_cut_is_an_error(stage: Stage, way: Json) -> None:
    mark = stage.mark()
    with stage.client() as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(**chat("go on", mark, "tokens=20,cut=4", extra_body=way))
    assert caught.value.status_code == 502
    entries = stage.served(mark)
    (told,) = stage.take()
    assert told.request["error_code"] == "provider_cut_off"
    check(told, entries)


def test_the_sdk_tries_again_by_itself(stage: Stage) -> None:
    asked = chat("hello", mark := stage.mark(), "refuse=rate_limit_exceeded,retry_after_s=0.1")
    with stage.client(max_retries=1) as client, pytest.raises(openai.RateLimitError):
        client.chat.completions.create(**asked)
    entries = stage.served(mark)
    assert len(entries) == 2
    for told, entry in zip(stage.take(2), entries, strict=True):
        check(told, [entry])
