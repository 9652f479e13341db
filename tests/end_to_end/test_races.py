"""Races won by either tier, in both APIs, plain and streamed; and records that match what the provider served.

The window is two seconds: the dearer rung launches after one, which leaves a busy machine room on both sides.
"""

from typing import Any

import msgspec
import openai
import pytest

from tests.end_to_end.asking import chat, response
from tests.end_to_end.processes import command, until
from tests.end_to_end.records import check
from tests.end_to_end.stage import Json, Stage, Told

pytestmark = pytest.mark.sockets

WINDOW = {"start_within": "2s"}
WINDOW_S, LAUNCH_S = 2.0, 1.0

# reason: (what the provider does, tier that wins, outcomes of the attempts in order of launch, deadline met)
RACES: dict[str, tuple[str, str, list[str], bool]] = {
    "flex_won": ("", "flex", ["won"], True),
    "flex_won_late": ("flex.start=1.4,default.start=30", "flex", ["won", "lost"], True),
    "flex_deadline": ("flex.start=30", "default", ["lost", "won"], True),
    "flex_capacity": ("flex.refuse=flex_unavailable", "default", ["refused", "won"], True),
    "flex_upstream_error": ("flex.refuse=server_error", "default", ["failed", "won"], True),
}


def say(client: openai.OpenAI, api: str, streamed: bool, asked: Json) -> tuple[Any, str]:
    """Make the call; the headers of the answer, and its words."""
    if api == "chat":
        raw: Any = client.chat.completions.with_raw_response.create(**asked, stream=streamed)
        if streamed:
            chunks = list(raw.parse())
            return raw.headers, "".join(it.choices[0].delta.content or "" for it in chunks if it.choices)
        return raw.headers, raw.parse().choices[0].message.content or ""
    raw = client.responses.with_raw_response.create(**asked, stream=streamed)
    if streamed:
        events = list(raw.parse())
        assert events[-1].type == "response.completed"
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert "".join(it.delta for it in events if it.type == "response.output_text.delta") == (
            events[-1].response.output_text
        )
        return raw.headers, events[-1].response.output_text
    return raw.headers, raw.parse().output_text


def check_race(told: Told, entries: list[Json], headers: Any, reason: str, streamed: bool) -> None:
    _, tier, outcomes, met = RACES[reason]
    request = told.request
    assert headers["x-startline-request-id"] == request["request_id"]
    assert headers["x-startline-tier"] == request["tier_served"] == tier
    assert headers["x-startline-reason"] == request["reason"] == reason
    assert headers["x-startline-deadline-met"] == ("true" if met else "false")
    assert [attempt["outcome"] for attempt in told.attempts] == outcomes
    assert [attempt["tier_sent"] for attempt in told.attempts] == ["flex", "default"][: len(outcomes)]
    assert (request["deadline_met"], request["window_s"]) == (met, WINDOW_S)
    assert request["streamed"] is streamed
    assert all(entry["streamed"] for entry in entries), "a race always streams upstream"
    for attempt, entry in zip(told.attempts, entries, strict=True):
        if attempt["outcome"] == "lost":
            assert entry["outcome"] == "client_gone"
            assert attempt["cancel_cause"] == "lost_race"
        for fact in (attempt["tier_sent"], attempt["outcome"]):
            assert fact in headers["x-startline-race"]
    if len(outcomes) == 2:
        early = told.attempts[1]["start_s"] < LAUNCH_S
        assert early == (reason in ("flex_capacity", "flex_upstream_error")), "launched too early or too late"
    check(told, entries)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("reason", RACES)
def test_race(stage: Stage, reason: str, api: str, streamed: bool) -> None:
    mark, text = stage.mark(), f"race {reason} {api}"
    asked = (chat if api == "chat" else response)(text, mark, f"echo=true,{RACES[reason][0]}", extra_body=WINDOW)
    with stage.client("/v1" if streamed else "/api/v1") as client:
        headers, said = say(client, api, streamed, asked)
    assert said == text
    entries = stage.served(mark)
    (told,) = stage.take()
    check_race(told, entries, headers, reason, streamed)


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_the_deadline_passes_and_the_answer_still_comes(stage: Stage, api: str) -> None:
    mark = stage.mark()
    asked = (chat if api == "chat" else response)("late", mark, "flex.start=30,default.start=1.3", extra_body=WINDOW)
    with stage.client() as client:
        headers, _ = say(client, api, False, asked)
    entries = stage.served(mark)
    (told,) = stage.take()
    assert headers["x-startline-deadline-met"] == "false"
    assert told.request["deadline_met"] is False and told.request["status"] == 200
    assert told.request["reason"] == "flex_deadline"
    check(told, entries)


@pytest.mark.parametrize("starts", [True, False])
def test_a_loser_is_left_running_to_its_start_or_the_deadline(stage: Stage, starts: bool) -> None:
    mark = stage.mark()
    command("organisation", "set", "default", "--explore", environ=stage.environ)
    try:
        asked = chat(
            "look", mark, f"flex.start={1.7 if starts else 30},flex.tokens_per_s=20,tokens=40", extra_body=WINDOW
        )
        with stage.client() as client:
            headers, _ = say(client, "chat", True, asked)
    finally:
        command("organisation", "set", "default", "--no-explore", environ=stage.environ)
    assert "detached@1." in headers["x-startline-race"]
    flex, default = stage.served(mark)
    assert (flex["outcome"], default["outcome"]) == ("client_gone", "completed")
    (told,) = stage.take()
    request_id = told.request["request_id"]
    loser = until(lambda: closed(stage.admin(f"usage/{request_id}")), "the record of what it came to")
    assert loser["cancel_cause"] == ("lost_race" if starts else "too_slow")
    assert (loser["to_start_s"] is not None) is starts
    assert 1.5 < loser["end_s"] < 3.5, "its start, or the deadline: the request had long ended"
    row = stage.admin(f"usage/{request_id}")
    assert row["request"]["cost_nanos"] == sum(attempt["cost_nanos"] for attempt in row["attempts"])
    told_later = [msgspec.json.decode(line) for line in command(
        "archive", "cat", "--kind", "observed", "--request", request_id, "--json", environ=stage.environ
    ).splitlines()]  # fmt: skip
    assert [one["attempt"]["end_s"] for one in told_later] == [loser["end_s"]]


def closed(row: Json) -> Json | None:
    """The first attempt, once it is told why it was closed."""
    loser: Json = row["attempts"][0]
    return loser if loser["outcome"] == "detached" and loser["cancel_cause"] is not None else None


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_flex_fails_inside_its_stream(stage: Stage, api: str) -> None:
    mark = stage.mark()
    asked = (chat if api == "chat" else response)("fail", mark, "flex.early=true,flex.error", extra_body=WINDOW)
    with stage.client() as client:
        headers, said = say(client, api, True, asked)
    assert said
    entries = stage.served(mark)
    (told,) = stage.take()
    assert [entry["outcome"] for entry in entries] == ["failed", "completed"]
    assert headers["x-startline-tier"] == "default"
    check(told, entries)


def test_role_and_headers_are_no_start(stage: Stage) -> None:
    mark = stage.mark()
    asked = chat("role only", mark, "flex.early=true,flex.start=30", extra_body=WINDOW)
    with stage.client() as client:
        headers, _ = say(client, "chat", True, asked)
    flex, default = stage.served(mark)
    (told,) = stage.take()
    assert headers["x-startline-reason"] == "flex_deadline"
    assert (flex["status"], flex["outcome"], default["outcome"]) == (200, "client_gone", "completed")
    check(told, [flex, default])


def test_all_rungs_fail(stage: Stage) -> None:
    mark = stage.mark()
    asked = chat("no", mark, "flex.refuse=flex_unavailable,default.refuse=rate_limit_exceeded", extra_body=WINDOW)
    with stage.client() as client, pytest.raises(openai.RateLimitError) as caught:
        say(client, "chat", False, asked)
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "2"
    entries = stage.served(mark)
    (told,) = stage.take()
    assert told.request["status"] == 429
    assert told.request["tier_served"] is None
    check(told, entries)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
def test_the_loser_is_closed_when_the_winner_starts_and_not_when_it_ends(stage: Stage, streamed: bool) -> None:
    mark = stage.mark()
    asked = chat("go on", mark, "flex.start=30,default.tokens=20,default.tokens_per_s=20", extra_body=WINDOW)
    with stage.client() as client:
        say(client, "chat", streamed, asked)
    flex, default = stage.served(mark)
    (told,) = stage.take()
    check(told, [flex, default])
    assert default["started_s"] <= flex["gone_s"] < default["ended_s"]
    assert told.attempts[0]["end_s"] < told.attempts[1]["end_s"]


@pytest.fixture(scope="module")
def hurried_key(whole_stage: Stage) -> str:
    made = command("key", "create", "--name", "hurried", "--priority", "--json", environ=whole_stage.environ)
    return str(msgspec.json.decode(made)["key"])


@pytest.mark.parametrize(
    ("sim", "outcomes"),
    [
        ("flex.refuse=flex_unavailable,default.refuse=overloaded", ["refused", "refused", "won"]),
        ("flex.start=30,default.start=30", ["lost", "lost", "won"]),
    ],
    ids=["both refuse", "both are slow"],
)
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_priority_is_the_last_rung_if_the_key_allows_it(
    stage: Stage, hurried_key: str, api: str, sim: str, outcomes: list[str]
) -> None:
    mark = stage.mark()
    asked = (chat if api == "chat" else response)("hurry", mark, sim, extra_body=WINDOW)
    with stage.client(api_key=hurried_key) as client:
        headers, _ = say(client, api, True, asked)
    entries = stage.served(mark)
    (told,) = stage.take()
    assert headers["x-startline-tier"] == told.request["tier_served"] == "priority"
    assert [attempt["outcome"] for attempt in told.attempts] == outcomes
    assert told.request["deadline_met"] is ("refused" in outcomes)
    check(told, entries)


def test_a_key_without_priority_never_climbs_to_it(stage: Stage) -> None:
    mark = stage.mark()
    asked = chat("hurry", mark, "flex.refuse=flex_unavailable,default.refuse=overloaded", extra_body=WINDOW)
    with stage.client() as client, pytest.raises(openai.InternalServerError) as caught:
        say(client, "chat", False, asked)
    assert (caught.value.status_code, caught.value.code) == (503, "server_is_overloaded")
    entries = stage.served(mark)
    (told,) = stage.take()
    assert [entry["tier_asked"] for entry in entries] == ["flex", "default"]
    check(told, entries)


@pytest.mark.parametrize("way", ["extra_body", "extra_headers", "default_headers", "a number"])
def test_ways_to_say_start_within(stage: Stage, way: str) -> None:
    mark = stage.mark()
    options: Json = {"default_headers": {"x-start-within": "3s"}} if way == "default_headers" else {}
    ways: dict[str, Json] = {
        "extra_body": {"extra_body": {"start_within": "00h-00m-03s"}},
        "extra_headers": {"extra_headers": {"x-start-within": "3s"}},
        "a number": {"extra_body": {"start_within": 3}},
    }
    more = ways.get(way, {})
    with stage.client(**options) as client:
        headers, _ = say(client, "chat", False, chat("hello", mark, **more))
    entries = stage.served(mark)
    (told,) = stage.take()
    assert (headers["x-startline-reason"], told.request["tier_asked"]) == ("flex_won", "3s")
    assert told.request["window_s"] == 3.0
    assert not any("start" in name for name in entries[0]["headers"]), "the provider saw our header"
    check(told, entries)
