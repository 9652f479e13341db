"""A served Startline through the official SDK for Node, and what was recorded of it."""

from typing import Any

import pytest

from tests.end_to_end import node_sdk
from tests.end_to_end.records import check, checked
from tests.end_to_end.stage import Json, Stage

pytestmark = pytest.mark.sockets

DECIDED = {"city", "days"}


@pytest.fixture(scope="module", autouse=True)
def _node() -> None:
    node_sdk.installed()


def told_by_node(topic: str, stage: Stage, marks: list[str], mount: str = "/v1") -> Any:
    return node_sdk.run(topic, stage, marks, mount)


def check_each(stage: Stage, marks: list[str]) -> None:
    """Check the records of one request for each mark, made one after the other."""
    served = [stage.served(mark) for mark in marks]
    for told, entries in zip(stage.take(len(marks)), served, strict=True):
        check(told, entries)


@pytest.mark.parametrize("mount", ["/v1", "/api/v1"])
def test_plain(stage: Stage, mount: str) -> None:
    said = told_by_node("plain", stage, [mark := stage.mark()], mount)
    told = checked(stage, mark)
    assert (said["text"], said["tier"]) == ("naïve → 東京 🙂", "default")
    assert said["id"] == told.request["provider_response_id"]
    assert said["facts"]["x-startline-request-id"] == told.request["request_id"]
    assert said["facts"]["x-startline-reason"] == "tier_direct"


def test_a_race(stage: Stage) -> None:
    said = told_by_node("raced", stage, [mark := stage.mark()])
    told = checked(stage, mark)
    assert (said["text"], said["tier"]) == ("raced", "default")
    assert said["facts"]["x-startline-reason"] == told.request["reason"] == "flex_deadline"
    assert said["facts"]["x-startline-deadline-met"] == "true"
    assert [attempt["outcome"] for attempt in told.attempts] == ["lost", "won"]


def test_start_within_as_a_default_header(stage: Stage) -> None:
    said = told_by_node("default_headers", stage, [mark := stage.mark()])
    assert (said["tier"], said["facts"]["x-startline-reason"]) == ("flex", "flex_won")
    assert checked(stage, mark).request["tier_asked"] == "3s"


def test_stream(stage: Stage) -> None:
    said = told_by_node("stream", stage, [mark := stage.mark()])
    told = checked(stage, mark)
    assert said["text"] == "as it comes 🙂"
    assert said["usage"]["completion_tokens"] == told.request["tokens"]["output"]


def test_the_stream_helper_on_a_race(stage: Stage) -> None:
    said = told_by_node("stream_helper", stage, [mark := stage.mark()])
    assert (said["text"], said["tier"]) == ("put together", "flex")
    assert said["deltas"] > 1
    checked(stage, mark)


def test_parallel_tool_calls_come_the_same_whole_and_in_fragments(stage: Stage) -> None:
    said = told_by_node("tools", stage, marks := [stage.mark(), stage.mark()])
    assert len(said["calls"]) == 2
    assert said["calls"] == said["made"]
    assert said["fragments"] > 4
    check_each(stage, marks)


def test_the_tool_runner(stage: Stage) -> None:
    said = told_by_node("run_tools", stage, [mark := stage.mark()])
    assert said["text"]
    assert [set(given) for _, given in said["called"]] == [DECIDED, DECIDED]
    first, second = stage.served(mark)
    one, other = stage.take(2)
    check(one, [first])
    check(other, [second])


def test_structured_output(stage: Stage) -> None:
    said = told_by_node("structured", stage, marks := [stage.mark(), stage.mark()])
    assert set(said["chat"]) == set(said["responses"]) == DECIDED
    check_each(stage, marks)


def test_several_choices_with_logprobs(stage: Stage) -> None:
    said = told_by_node("choices", stage, [mark := stage.mark()])
    assert len(said) == 2
    for choice in said:
        assert "".join(choice["tokens"]) == choice["text"]
    checked(stage, mark)


def test_embeddings(stage: Stage) -> None:
    said = told_by_node("embeddings", stage, [mark := stage.mark()])
    assert said == [8, 8]
    checked(stage, mark)


def test_responses(stage: Stage) -> None:
    said = told_by_node("responses", stage, [mark := stage.mark()])
    assert (said["text"], said["tier"]) == ("hello", "flex")
    assert said["facts"]["x-startline-reason"] == "flex_won"
    checked(stage, mark)


def test_a_responses_stream(stage: Stage) -> None:
    said = told_by_node("responses_stream", stage, marks := [stage.mark(), stage.mark()])
    assert said["kinds"][0] == "response.created"
    assert said["kinds"][-1] == "response.completed"
    assert said["numbers"] == list(range(len(said["kinds"])))
    assert said["text"] == "hello again"
    check_each(stage, marks)


def test_models(stage: Stage) -> None:
    said = told_by_node("models", stage, [])
    assert set(said["listed"]) >= {"gpt-5.4-nano", "gpt-5.4-mini"}
    assert said["one"] == "gpt-5.4-mini"
    assert stage.take(0) == []


def test_cancel(stage: Stage) -> None:
    said = told_by_node("cancel", stage, marks := [stage.mark() for _ in range(3)])
    assert said["chunks"] == 4
    assert said["before"]["name"] == "APIUserAbortError"
    served = [stage.served(mark) for mark in marks]
    for told, entries, status in zip(stage.take(3), served, (200, 499, 200), strict=True):
        assert {entry["outcome"] for entry in entries} == {"client_gone"}
        assert (told.request["client_gone"], told.request["status"]) == (True, status)
        assert {attempt["outcome"] for attempt in told.attempts} == {"client_gone"}
        check(told, entries)
    assert [len(entries) for entries in served] == [1, 2, 1]


def test_errors(stage: Stage) -> None:
    said: Json = told_by_node("errors", stage, marks := [stage.mark(), stage.mark()])
    seen = {kind: (it["name"], it["status"], it["code"], it["retryAfter"]) for kind, it in said.items()}
    assert seen["key"] == ("AuthenticationError", 401, "invalid_api_key", None)
    assert seen["model"] == ("NotFoundError", 404, "model_not_found", None)
    assert seen["quota"] == ("RateLimitError", 429, "rate_limit_exceeded", "2")
    assert said["cut"]["isAPIError"] is True
    assert said["cut"]["code"] == "provider_cut_off"
    unknown, *others = stage.take(3)
    assert unknown.request["error_code"] == "model_not_found"
    for told, mark in zip(others, marks, strict=True):
        check(told, stage.served(mark))
