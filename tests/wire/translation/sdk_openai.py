"""The official OpenAI client reading bytes of ours, through a transport that answers every request with them."""

from typing import Any

import httpx2
import openai


def client(body: bytes, content_type: str) -> openai.OpenAI:
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": content_type}, content=body)
    )
    http = httpx2.Client(transport=transport)
    return openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=http, max_retries=0)


def chat_stream(body: bytes) -> Any:
    """The final message as the SDK's own accumulator puts it together."""
    with (
        client(body, "text/event-stream") as asking,
        asking.chat.completions.stream(model="m", messages=[{"role": "user", "content": "x"}]) as stream,
    ):
        try:
            for _ in stream:
                pass
            return stream.get_final_completion()
        except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):  # what it raises when cut
            return stream.current_completion_snapshot


def chat_whole(body: bytes) -> Any:
    with client(body, "application/json") as asking:
        return asking.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])


def responses_stream(body: bytes) -> tuple[list[Any], Any]:
    """(the events, the final response as the SDK's own accumulator puts it together)."""
    with (
        client(body, "text/event-stream") as asking,
        asking.responses.stream(model="m", input="x") as stream,
    ):
        events: list[Any] = list(stream)
        return events, stream.get_final_response() if events[-1].type == "response.completed" else events[-1].response


def responses_whole(body: bytes) -> Any:
    with client(body, "application/json") as asking:
        return asking.responses.create(model="m", input="x")
