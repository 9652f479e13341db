"""The official Google client reading bytes of ours, through a transport that answers every request with them."""

from typing import Any

import httpx
from google import genai
from google.genai import types


def client(body: bytes, content_type: str) -> genai.Client:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-type": content_type}, content=body))
    options = types.HttpOptions(base_url="http://x", client_args={"transport": transport})
    return genai.Client(api_key="k", http_options=options)


def stream(body: bytes) -> list[types.GenerateContentResponse]:
    """The chunks as the SDK yields them."""
    asking = client(body, "text/event-stream")
    return list(asking.models.generate_content_stream(model="m", contents="x"))


def whole(body: bytes) -> types.GenerateContentResponse:
    asking = client(body, "application/json")
    return asking.models.generate_content(model="m", contents="x")


def parts_of(chunks: list[types.GenerateContentResponse]) -> list[Any]:
    """All parts of the first candidate."""
    return [
        part
        for chunk in chunks
        if chunk.candidates and chunk.candidates[0].content is not None
        for part in chunk.candidates[0].content.parts or ()
    ]


def interaction_stream(body: bytes) -> list[Any]:
    """The events of an interaction as the SDK yields them."""
    asking = client(body, "text/event-stream")
    return list(asking.interactions.create(model="m", input="x", stream=True))


def interaction(body: bytes) -> Any:
    asking = client(body, "application/json")
    return asking.interactions.create(model="m", input="x")
