"""The official Anthropic client reading bytes of ours, through a transport that answers every request with them."""

from typing import Any

import anthropic
import httpx2


def client(body: bytes, content_type: str) -> anthropic.Anthropic:
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": content_type}, content=body)
    )
    http = httpx2.Client(transport=transport)
    return anthropic.Anthropic(api_key="k", base_url="http://x", http_client=http, max_retries=0)


def stream(body: bytes) -> tuple[list[str], Any]:
    """(the types of the raw events, the final message as the SDK's own accumulator puts it together)."""
    kinds: list[str] = []
    with (
        client(body, "text/event-stream") as asking,
        asking.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]) as streamed,
    ):
        kinds += [event.type for event in streamed]
        return kinds, streamed.get_final_message()


def whole(body: bytes) -> Any:
    with client(body, "application/json") as asking:
        return asking.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}])
