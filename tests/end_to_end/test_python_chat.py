"""Chat completions and embeddings through the official SDK for Python, and what was recorded of them."""

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.end_to_end.asking import TOOLS, Plan, chat
from tests.end_to_end.records import check, checked
from tests.end_to_end.stage import Json, Stage

pytestmark = pytest.mark.sockets


@pytest.mark.parametrize("mount", ["/v1", "/api/v1"])
def test_plain(stage: Stage, mount: str) -> None:
    mark = stage.mark()
    with stage.client(mount) as client:
        raw = client.chat.completions.with_raw_response.create(
            **chat("say it, and then say it again", mark, "echo=true")
        )
    answer = raw.parse()
    (entry,) = stage.served(mark)
    (told,) = stage.take()
    assert answer.choices[0].message.content == "say it, and then say it again"
    assert answer.service_tier == "default"
    assert answer.id == entry["response_id"]
    assert raw.headers["x-startline-request-id"] == told.request["request_id"]
    assert raw.headers["x-startline-tier"] == "default"
    assert raw.headers["x-startline-reason"] == told.request["reason"] == "tier_direct"
    assert "set-cookie" not in raw.headers
    assert raw.headers["x-request-id"].startswith("req_")
    assert float(raw.headers["x-startline-cost-usd"]) * 1e9 == pytest.approx(told.request["cost_nanos"])
    assert told.request["endpoint"] == "chat.completions" and not told.request["streamed"]
    assert told.request["tokens"]["cached"] and told.request["tokens"]["reasoning"] == 5
    check(told, [entry])


def test_unicode_passes_unchanged(stage: Stage) -> None:
    text = 'naïve café → 東京 🙂🏽 \u202eתורה‏ \\ " \u0007 \U0001f469\u200d\U0001f680'
    for stream in (False, True):
        mark = stage.mark()
        with stage.client() as client:
            if stream:
                chunks = client.chat.completions.create(**chat(text, mark, "echo=true,fragment_bytes=3"), stream=True)
                said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            else:
                answer = client.chat.completions.create(**chat(text, mark, "echo=true"))
                said = answer.choices[0].message.content or ""
        assert said == text
        checked(stage, mark)


def test_stream(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client:
        asked = chat("say it slowly, please", mark, "echo=true")
        chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    (entry,) = stage.served(mark)
    (told,) = stage.take()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "say it slowly, please"
    assert chunks[-1].usage is not None and chunks[-1].usage.prompt_tokens == told.request["tokens"]["input"]
    assert {chunk.id for chunk in chunks} == {entry["response_id"]}
    assert told.request["streamed"]
    check(told, [entry])


def test_usage_that_was_not_asked_for_is_recorded_and_not_shown(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client:
        chunks = list(client.chat.completions.create(**chat("hello", mark), stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    (told,) = stage.take()
    assert told.request["tokens"]["certainty"] == "known"
    check(told, stage.served(mark))


def calls_of(chunks: list[ChatCompletionChunk]) -> list[Json]:
    """The tool calls of a stream, put together from their fragments."""
    calls: list[Json] = []
    for chunk in chunks:
        for choice in chunk.choices:
            for delta in choice.delta.tool_calls or []:
                if delta.index == len(calls):
                    calls.append({"id": delta.id, "name": "", "arguments": "", "fragments": 0})
                call = calls[delta.index]
                if delta.function is not None:
                    call["name"] += delta.function.name or ""
                    call["arguments"] += delta.function.arguments or ""
                    call["fragments"] += 1
    return calls


def test_parallel_tool_calls_come_the_same_whole_and_in_fragments(stage: Stage) -> None:
    tools: Json = {"tools": TOOLS, "tool_choice": "required"}
    with stage.client() as client:
        whole, streamed = stage.mark(), stage.mark()
        answer = client.chat.completions.create(**chat("weather?", whole, "tool_calls=2", **tools))
        chunks = list(
            client.chat.completions.create(**chat("weather?", streamed, "tool_calls=2", **tools), stream=True)
        )
        made = answer.choices[0].message.tool_calls or []
        calls = calls_of(chunks)
        assert len(calls) == len(made) == 2
        assert max(call["fragments"] for call in calls) > 2
        for call, one in zip(calls, made, strict=True):
            assert one.type == "function"
            assert (call["id"], call["name"], call["arguments"]) == (one.id, one.function.name, one.function.arguments)
        assert answer.choices[0].finish_reason == "tool_calls"
        after = stage.mark()
        messages = [
            {"role": "user", "content": "weather?"},
            answer.choices[0].message,
            *({"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in calls),
        ]
        said = client.chat.completions.create(**chat("", after, tools=TOOLS) | {"messages": messages})
    assert said.choices[0].message.content
    for told, mark in zip(stage.take(3), (whole, streamed, after), strict=True):
        check(told, stage.served(mark))


@pytest.mark.parametrize("extra", [{}, {"start_within": "3s"}], ids=["direct", "raced"])
def test_structured_output_is_parsed(stage: Stage, extra: Json) -> None:
    mark = stage.mark()
    with stage.client() as client:
        answer = client.chat.completions.parse(**chat("plan", mark), response_format=Plan, extra_body=extra)
    assert isinstance(answer.choices[0].message.parsed, Plan)
    checked(stage, mark)


def test_the_stream_helper_puts_it_together(stage: Stage) -> None:
    mark = stage.mark()
    with (
        stage.client() as client,
        client.chat.completions.stream(**chat("plan", mark), response_format=Plan) as stream,
    ):
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert isinstance(final.choices[0].message.parsed, Plan)
    checked(stage, mark)


@pytest.mark.parametrize("extra", [{}, {"start_within": "3s"}], ids=["direct", "raced"])
def test_several_choices_with_logprobs(stage: Stage, extra: Json) -> None:
    mark = stage.mark()
    with stage.client() as client:
        asked = chat("twice", mark, n=2, logprobs=True, top_logprobs=2, extra_body=extra)
        answer = client.chat.completions.create(**asked)
    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice in answer.choices:
        assert choice.logprobs is not None and choice.logprobs.content
        assert "".join(one.token for one in choice.logprobs.content) == choice.message.content
        assert choice.logprobs.content[0].top_logprobs
    checked(stage, mark)


def test_tier_words(stage: Stage) -> None:
    with stage.client() as client:
        for tier in ("flex", "default", "priority"):
            mark = stage.mark()
            answer = client.chat.completions.create(**chat("hello", mark), service_tier=tier)
            assert answer.service_tier == tier
            (told,) = stage.take()
            assert (told.request["tier_asked"], told.request["tier_served"]) == (tier, tier)
            check(told, stage.served(mark))


def test_a_tier_that_is_served_as_another_costs_what_was_served(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client:
        answer = client.chat.completions.create(**chat("hello", mark, "downgrade=1"), service_tier="priority")
    assert answer.service_tier == "default"
    (told,) = stage.take()
    assert (told.request["tier_sent"], told.request["tier_served"]) == ("priority", "default")
    check(told, stage.served(mark))


def test_cache_writes_are_billed(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client:
        client.chat.completions.create(**chat("a long prompt " * 40, mark, model="gpt-5.6-sol"))
    (told,) = stage.take()
    assert told.request["tokens"]["cache_write"] > 0
    check(told, stage.served(mark))


def test_an_unknown_price_is_said_to_be_unknown(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client:
        asked = chat("hello", mark, model="nameless-1")
        raw = client.chat.completions.with_raw_response.create(**asked)
    assert "x-startline-cost-usd" not in raw.headers
    (told,) = stage.take()
    assert (told.request["cost_nanos"], told.request["cost_state"]) == (None, "unknown_price")
    check(told, stage.served(mark))


def test_embeddings(stage: Stage) -> None:
    with stage.client() as client:
        for given, options in ((["one", "two"], {}), ("three", {"encoding_format": "float", "dimensions": 4})):
            mark = stage.mark()
            extra = {"metadata": {"simulator": f"mark={mark}"}}
            answer = client.embeddings.create(
                model="text-embedding-3-small", input=given, extra_body=extra, **options  # type: ignore[arg-type]
            )  # fmt: skip
            assert [len(row.embedding) for row in answer.data] == ([8, 8] if given != "three" else [4])
            (told,) = stage.take()
            assert told.request["endpoint"] == "embeddings"
            assert told.request["tokens"]["output"] == 0
            check(told, stage.served(mark))


@pytest.mark.parametrize("mount", ["/v1", "/api/v1"])
def test_models(stage: Stage, mount: str) -> None:
    with stage.client(mount) as client:
        listed = {model.id for model in client.models.list()}
        gpt = {"gpt-5.4-nano", "gpt-5.4-mini", "gpt-5.6-sol", "nameless-1", "text-embedding-3-small"}
        assert listed == gpt | {"claude-sonnet-5", "gemini-3.5-flash", "gemini-embedding-2"}
        assert client.models.retrieve("gpt-5.4-mini").id == "gpt-5.4-mini"
        assert client.models.retrieve("sim/gpt-5.4-mini").id
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("gpt-nothing")
    assert stage.take(0) == []


def test_a_model_named_with_its_provider(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client:
        client.chat.completions.create(**chat("hello", mark, model="sim/gpt-5.4-nano"))
    (told,) = stage.take()
    assert told.request["model_asked"] == "sim/gpt-5.4-nano"
    assert told.request["model_dispatched"] == "gpt-5.4-nano"
    check(told, stage.served(mark))
