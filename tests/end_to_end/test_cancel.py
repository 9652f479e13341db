"""A client that goes away: every attempt ends at once, and the records say so. In three kinds of concurrency."""

import asyncio
from typing import Any

import openai
import pytest
import trio

from tests.end_to_end.asking import chat, response
from tests.end_to_end.processes import until
from tests.end_to_end.records import check
from tests.end_to_end.stage import Json, Stage, Told

pytestmark = pytest.mark.sockets

RACED = {"start_within": "1s"}
SLOW = "tokens=2000,tokens_per_s=10"


def gone(stage: Stage, mark: str, status: int) -> Told:
    """The record of a request whose client has gone; everything at the provider ended with it."""
    entries = stage.served(mark)
    (told,) = stage.take()
    assert {entry["outcome"] for entry in entries} <= {"client_gone", "refused"}
    assert told.request["client_gone"] is True
    assert (told.request["error_code"], told.request["status"]) == ("client_gone", status)
    for attempt in told.attempts:
        if attempt["outcome"] == "client_gone":
            assert attempt["cancel_cause"] == "client_gone"
    check(told, entries)
    return told


@pytest.mark.parametrize("way", [{}, RACED], ids=["direct", "raced"])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_in_mid_stream(stage: Stage, api: str, way: Json) -> None:
    mark = stage.mark()
    with stage.client() as client:
        asked = (chat if api == "chat" else response)("go on", mark, SLOW, extra_body=way)
        make: Any = client.chat.completions if api == "chat" else client.responses
        stream = make.create(**asked, stream=True)
        for _ in range(6):
            next(stream)
        stream.close()
        told = gone(stage, mark, 200)
    assert [attempt["outcome"] for attempt in told.attempts] == ["client_gone"]
    assert told.attempts[0]["to_start_s"] is not None


def test_in_mid_stream_after_a_race_was_decided(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client() as client:
        asked = chat("go on", mark, f"{SLOW},flex.start=60", extra_body=RACED)
        stream = client.chat.completions.create(**asked, stream=True)
        for _ in range(3):
            next(stream)
        stream.close()
        told = gone(stage, mark, 200)
    assert [attempt["outcome"] for attempt in told.attempts] == ["lost", "client_gone"]


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_before_the_first_token(stage: Stage, api: str, streamed: bool) -> None:
    mark = stage.mark()
    with stage.client(timeout=1.0) as client:
        make: Any = client.chat.completions if api == "chat" else client.responses
        with pytest.raises(openai.APITimeoutError):
            make.create(**(chat if api == "chat" else response)("wait", mark, "start=60"), stream=streamed)
        told = gone(stage, mark, 499)
    assert told.request["to_start_s"] is None
    assert told.request["sent_bytes"] == 0


def test_before_the_first_token_of_a_race_with_both_rungs_running(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client(timeout=1.4) as client:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(**chat("wait", mark, "start=60", extra_body=RACED))
        told = gone(stage, mark, 499)
    assert [attempt["outcome"] for attempt in told.attempts] == ["client_gone", "client_gone"]
    assert [attempt["tier_sent"] for attempt in told.attempts] == ["flex", "default"]
    assert told.request["deadline_met"] is False


def test_while_the_answer_is_assembled(stage: Stage) -> None:
    mark = stage.mark()
    with stage.client(timeout=1.0) as client:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(**chat("wait", mark, SLOW, extra_body=RACED))
        told = gone(stage, mark, 499)
    assert told.attempts[0]["to_start_s"] is not None


def test_a_cancelled_asyncio_task(stage: Stage) -> None:
    mark = stage.mark()

    async def main() -> None:
        async with stage.async_client() as client:
            task = asyncio.create_task(
                client.chat.completions.create(**chat("wait", mark, "start=60", extra_body=RACED))
            )
            await asyncio.to_thread(lambda: began(stage, mark))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(lambda: gone(stage, mark, 499))

    asyncio.run(main())


async def test_a_cancelled_trio_scope(stage: Stage) -> None:
    mark = stage.mark()
    async with stage.async_client() as client:
        with trio.CancelScope() as scope:
            stream: Any = await client.responses.create(**response("go on", mark, SLOW), stream=True)
            async for event in stream:
                if event.type == "response.output_text.delta":
                    scope.cancel()
        assert scope.cancelled_caught
        await trio.to_thread.run_sync(lambda: gone(stage, mark, 200))


def began(stage: Stage, mark: str) -> None:
    """Return once the provider has the request with this mark."""
    until(lambda: any(entry["mark"] == mark for entry in stage.journal()["entries"]) or None, f"request {mark}")
