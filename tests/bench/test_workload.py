"""The bytes of the bench: sizes, marks, and that the provider reads what a prompt says after a gateway rewrote it."""

import json

import pytest

from tests.bench import workload


def test_the_answer_has_its_size_and_is_a_chat_completion() -> None:
    answer = workload.answer()
    assert len(answer) == workload.ANSWER_BYTES
    assert json.loads(answer)["usage"]["total_tokens"] == 160
    assert b"'" not in answer  # it stands within quotes in nginx's configuration
    assert b"$" not in answer


@pytest.mark.parametrize("size_bytes", [workload.PROMPT_BYTES, workload.LARGE_PROMPT_BYTES])
@pytest.mark.parametrize("model", ["bench", "answers-tls/bench"])
def test_prompts_have_their_size_whatever_the_model(size_bytes: int, model: str) -> None:
    assert len(workload.prompt(model, size_bytes)) == size_bytes


def test_a_play_survives_another_order_and_spacing() -> None:
    body = json.loads(workload.stream_prompt("m", events=200, pace_us=20_000, race=7))
    rewritten = json.dumps({"service_tier": "flex", "stream_options": {"include_usage": True}, **body}, indent=1)
    told = json.loads(rewritten) | {"service_tier": "flex"}
    assert workload.play_of(json.dumps(told).encode()) == workload.Play(200, 20_000, 0, 7, "flex", with_usage=True)


def test_a_race_asks_for_a_window_and_for_no_tier() -> None:
    body = json.loads(workload.stream_prompt("m", start_within="1s", race=1))
    assert body["start_within"] == "1s"
    assert "service_tier" not in body


def test_a_prompt_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="what to play"):
        workload.play_of(b'{"model":"m"}')


def test_only_events_with_content_are_marked_and_the_stream_is_well_framed() -> None:
    stream = workload.stream_head("flex") + 3 * workload.stream_event("flex") + workload.stream_tail("flex", True)
    assert stream.count(workload.MARK) == 3
    head, _, rest = stream.partition(b"\r\n\r\n")
    assert b"chunked" in head
    events = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        data, rest = rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        if data:
            events.append(data)
    assert events[-1] == b"data: [DONE]\n\n"
    assert len(events) == 7  # role, three with content, finish, usage, done
    assert json.loads(events[-2][6:])["usage"]["total_tokens"] == 52
    assert all(json.loads(event[6:])["service_tier"] == "flex" for event in events[:-1])
