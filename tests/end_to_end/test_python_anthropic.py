"""Anthropic's dialect through its official SDK for Python, and what was recorded of it."""

from typing import Any

import anthropic
import httpx
import msgspec
import pytest

from tests.end_to_end.asking import message, metadata
from tests.end_to_end.records import check, checked
from tests.end_to_end.stage import CLAUDE, Json, Stage

pytestmark = pytest.mark.sockets

SAID = "say it again, and then once more, and slowly, so that there is something to keep in a cache"
TOOL: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
}


@pytest.mark.parametrize("mount", ["", "/api", "/anthropic"])
def test_plain(stage: Stage, mount: str) -> None:
    mark = stage.mark()
    with stage.anthropic(mount) as client:
        raw = client.messages.with_raw_response.create(**message(SAID, mark, "echo=true"))
    answer = raw.parse()
    (entry,) = stage.served(mark)
    (told,) = stage.take()
    assert answer.content[0].type == "text"
    assert answer.content[0].text == SAID
    assert answer.id == entry["response_id"] == told.request["provider_response_id"]
    assert raw.headers["request-id"]
    assert raw.headers["anthropic-ratelimit-requests-limit"] == "4000"
    assert (raw.headers["x-startline-provider"], raw.headers["x-startline-tier"]) == (CLAUDE, "default")
    assert entry["tier_asked"] == "standard_only"
    assert (told.request["endpoint"], told.request["dialect"]) == ("messages", "anthropic_messages")
    assert told.request["tokens"]["cached"] and told.request["tokens"]["cache_write"]
    check(told, [entry])


def test_a_bearer_key_and_a_beta(stage: Stage) -> None:
    mark = stage.mark()
    with stage.anthropic(api_key=None, auth_token=stage.key) as client:
        answer = client.beta.messages.create(**message("hello", mark), betas=["context-1m-2025-08-07"])
    assert answer.type == "message"
    (entry,) = stage.served(mark)
    assert entry["betas"] == ["context-1m-2025-08-07"]
    assert entry["path"] == "/v1/messages"
    checked(stage, mark)


def test_stream(stage: Stage) -> None:
    mark = stage.mark()
    with stage.anthropic() as client, client.messages.stream(**message("say it slowly", mark, "echo=true")) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert said == "say it slowly"
    assert final.stop_reason == "end_turn"
    told = checked(stage, mark)
    assert told.request["streamed"]
    assert told.request["tokens"]["output"] == final.usage.output_tokens


def test_unicode_in_pieces(stage: Stage) -> None:
    text = "naïve café → 東京 🙂🏽"
    mark = stage.mark()
    asked = message(text, mark, "echo=true,fragment_bytes=3")
    with stage.anthropic() as client, client.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == text
    checked(stage, mark)


@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_tools_in_two_turns(stage: Stage, streamed: bool) -> None:
    mark = stage.mark()
    asked = message("what is the weather?", mark, "tool_calls=2", tools=[TOOL])
    with stage.anthropic() as client:
        if streamed:
            with client.messages.stream(**asked) as stream:
                answer: Any = stream.get_final_message()
        else:
            answer = client.messages.create(**asked)
        checked(stage, mark)
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert (answer.stop_reason, len(calls)) == ("tool_use", 2)
        assert all(isinstance(call.input, dict) and call.input for call in calls)
        again = stage.mark()
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
        turns = [
            *asked["messages"],
            {"role": "assistant", "content": answer.content},
            {"role": "user", "content": results},
        ]
        final = client.messages.create(**(message("", again, tools=[TOOL]) | {"messages": turns}))
    assert final.content[0].type == "text"
    checked(stage, again)


def test_thinking_comes_signed_and_goes_back(stage: Stage) -> None:
    mark, thinking = stage.mark(), {"type": "enabled", "budget_tokens": 1024}
    asked = message("think", mark, "reasoning_tokens=9", thinking=thinking, max_tokens=4000)
    with stage.anthropic() as client:
        with client.messages.stream(**asked) as stream:
            answer = stream.get_final_message()
        assert [block.type for block in answer.content] == ["thinking", "text"]
        told = checked(stage, mark)
        assert told.request["tokens"]["reasoning"] == 9
        again = stage.mark()
        turns = [
            *asked["messages"],
            {"role": "assistant", "content": answer.content},
            {"role": "user", "content": "go on"},
        ]
        client.messages.create(**(asked | {"metadata": metadata(again), "messages": turns}))
    checked(stage, again)


@pytest.mark.parametrize(
    ("wish", "sent", "served"),
    [("default", "standard_only", "default"), ("priority", "auto", "priority"), ("auto", "auto", "priority")],
)
def test_tiers(stage: Stage, wish: str, sent: str, served: str) -> None:
    mark = stage.mark()
    with stage.anthropic() as client:
        client.messages.create(**message("hello", mark), extra_body={"start_within": wish})
    (entry,) = stage.served(mark)
    (told,) = stage.take()
    assert (entry["tier_asked"], told.attempts[0]["tier_sent"], told.request["tier_served"]) == (sent, sent, served)


@pytest.mark.parametrize(
    ("refusal", "error", "status", "code"),
    [
        ("invalid_request", anthropic.BadRequestError, 400, "provider_rejected"),
        ("rate_limit_exceeded", anthropic.RateLimitError, 429, "provider_rate_limited"),
        ("overloaded", anthropic.APIStatusError, 529, "provider_refused"),
        ("server_error", anthropic.InternalServerError, 500, "provider_error"),
        ("not_found", anthropic.NotFoundError, 404, "provider_rejected"),
        ("invalid_api_key", anthropic.PermissionDeniedError, 403, "provider_key_rejected"),
        ("too_large", anthropic.APIStatusError, 413, "provider_rejected"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors(stage: Stage, refusal: str, error: Any, status: int, code: str, streamed: bool) -> None:
    mark = stage.mark()
    with stage.anthropic() as client, pytest.raises(error) as raised:
        client.messages.create(**message("hello", mark, f"refuse={refusal}"), stream=streamed)
    fault = raised.value
    assert fault.status_code == status
    told = msgspec.json.decode(fault.response.headers["x-startline-error"])
    assert (told["code"], told["origin"], told["provider"]) == (code, "provider", CLAUDE)
    if refusal not in ("invalid_api_key",):
        assert "startline" not in fault.body["error"]  # as it came
    (record,) = stage.take()
    assert (record.request["status"], record.request["error_code"]) == (status, code)
    assert record.request["cost_nanos"] == 0
    stage.served(mark)


def test_an_error_in_mid_stream(stage: Stage) -> None:
    mark = stage.mark()
    asked = message("hello", mark, "error=2,tokens_per_s=50")
    with (
        stage.anthropic() as client,
        pytest.raises(anthropic.APIStatusError) as raised,
        client.messages.stream(**asked) as stream,
    ):
        list(stream)
    assert raised.value.body["error"]["startline"]["code"] == "provider_refused"  # type: ignore[index]
    (told,) = stage.take()
    assert told.request["error_code"] == "provider_refused"
    assert told.request["tokens"]["certainty"] == "estimated"
    stage.served(mark)


def test_our_own_refusals_are_of_the_dialect(stage: Stage) -> None:
    with stage.anthropic(api_key="sk-sl-nonsense") as client, pytest.raises(anthropic.AuthenticationError) as raised:
        client.messages.create(**message("hello", "x"))
    assert raised.value.type == "authentication_error"
    with stage.anthropic() as client:
        with pytest.raises(anthropic.BadRequestError) as flex:
            client.messages.create(**message("hello", "x"), extra_headers={"x-start-within": "30s"})
        assert flex.value.body["error"]["startline"]["code"] == f"flex_unsupported_for_{CLAUDE}"  # type: ignore[index]
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(**message("hello", "x", model="claude-nobody"))
    stage.take(2)


def test_tokens_are_counted_for_nothing(stage: Stage) -> None:
    with stage.anthropic() as client:
        count = client.messages.count_tokens(
            model="claude-sonnet-5", messages=[{"role": "user", "content": "one two three"}], tools=[TOOL]
        )
    assert count.input_tokens > 0
    (told,) = stage.take()
    assert (told.request["endpoint"], told.request["cost_nanos"]) == ("messages.count_tokens", 0)
    assert told.request["cost_state"] == "not_charged"


def test_models(stage: Stage) -> None:
    with stage.anthropic() as client:
        ids = [model.id for model in client.models.list(limit=3)]  # page after page
        one = client.models.retrieve("claude-sonnet-5")
    assert "claude-sonnet-5" in ids
    assert len(ids) == len(set(ids)) > 3
    assert one.display_name == "claude-sonnet-5"


def test_a_client_that_leaves_in_mid_stream(stage: Stage) -> None:
    mark = stage.mark()
    asked = message(SAID, mark, "tokens_per_s=20,output_tokens=2000")
    with stage.anthropic() as client, client.messages.stream(**asked) as stream:
        next(iter(stream.text_stream))
    (entry,) = stage.served(mark)
    assert entry["outcome"] == "client_gone"
    (told,) = stage.take()
    assert told.request["client_gone"]
    tokens = told.attempts[0]["tokens"]
    assert tokens["certainty"] == "estimated"
    assert tokens["cached"], "what was told of the input at the start is kept"


def test_what_a_coding_agent_sends_first(stage: Stage) -> None:
    """As seen of Claude Code: a HEAD, then the call with a query, betas and a system turn in mid-conversation."""
    mark = stage.mark()
    headers = {
        "authorization": f"Bearer {stage.key}",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,mid-conversation-system-2026-04-07",
        "x-claude-code-session-id": "00000000-0000-4000-8000-000000000001",
        "user-agent": "claude-cli/2.1.197 (external, cli)",
        "x-app": "cli",
    }
    body: Json = message("hello", mark) | {"stream": True}
    with httpx.Client(base_url=stage.url, headers=headers, trust_env=False) as client:
        assert client.head("/").status_code == 200
        assert client.head("/api/hello").status_code == 200
        listed = client.get("/v1/models", params={"limit": 1000}).json()
        answer = client.post("/v1/messages?beta=true", json=body)
    assert "claude-sonnet-5" in [row["id"] for row in listed["data"] if row["type"] == "model"]
    assert answer.status_code == 200
    assert answer.text.rstrip().endswith('{"type":"message_stop"}')
    (entry,) = stage.served(mark)
    assert entry["betas"] == ["claude-code-20250219", "mid-conversation-system-2026-04-07"]
    assert {"x-claude-code-session-id", "x-app"} <= set(entry["headers"])
    checked(stage, mark)
