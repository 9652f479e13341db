"""Streams in every dialect, for the cost of relaying and of translating them: what is asked, and what is answered.

The rule: an event with content is one chunk and carries one mark, in each dialect as its own writer says it.
"""

import json
from dataclasses import dataclass
from typing import Final

from appliance.domain.chat import DialectName
from appliance.domain.stream import Ended, Event, PartClosed, PartOpened, Started, Stopped, TextDelta, UsageTold
from appliance.domain.tokens import Tokens
from appliance.wire.translation.codec import Reply
from appliance.wire.translation.codecs import CODECS

KINDS: Final[dict[DialectName, tuple[str, str]]] = {
    "openai_chat": ("openai_compatible", "/v1"),
    "openai_responses": ("openai_compatible", "/v1"),
    "anthropic_messages": ("anthropic", "/v1"),
    "gemini_generate": ("gemini", "/v1beta"),
    "gemini_interactions": ("gemini", "/v1beta"),
}
"""A provider's kind and the path of its base URL, by the one dialect that it speaks here."""

_ENDS: Final[dict[str, DialectName]] = {
    "/chat/completions": "openai_chat",
    "/responses": "openai_responses",
    "/messages": "anthropic_messages",
    ":streamGenerateContent": "gemini_generate",
    "/interactions": "gemini_interactions",
}
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Canned:
    """A stream as bytes of HTTP: its head and first events, one event with content, its last events."""

    head: bytes
    event: bytes
    tail: bytes


def provider_name(dialect: DialectName) -> str:
    """The provider that speaks this dialect alone; its profile has the same name."""
    return "bench-" + dialect.replace("_", "-")


def profile(dialect: DialectName) -> str:
    """The profile of a provider that speaks this dialect alone."""
    kind, path = KINDS[dialect]
    return f'title = "Bench"\nkind = "{kind}"\nbase_url = "http://127.0.0.1{path}"\n[dialects]\n{dialect} = ""\n'


def path_and_body(dialect: DialectName, model: str, **play: int) -> tuple[str, bytes]:
    """The request of a client of this dialect for a stream played so."""
    words = "bench" + "".join(f" {name}={value}" for name, value in play.items())
    messages = [{"role": "user", "content": words}]
    body: dict[str, object] = {"model": model, "stream": True}
    match dialect:
        case "openai_chat":
            path, body = "/v1/chat/completions", body | {"messages": messages}
        case "openai_responses":
            path, body = "/v1/responses", body | {"input": words}
        case "anthropic_messages":
            path, body = "/v1/messages", body | {"messages": messages, "max_tokens": 1000}
        case "gemini_generate":
            path = f"/v1beta/models/{model}:streamGenerateContent?alt=sse"
            body = {"contents": [{"role": "user", "parts": [{"text": words}]}]}
        case _:
            path, body = "/v1beta/interactions", body | {"input": words, "store": False}
    return path, json.dumps(body, separators=(",", ":")).encode()


def dialect_of(target: bytes) -> DialectName:
    """What a provider is asked in, by the request's target."""
    path = target.decode("latin-1").partition("?")[0]
    return next((dialect for end, dialect in _ENDS.items() if path.endswith(end)), "openai_chat")


def canned(dialect: DialectName) -> Canned:
    """A stream of this dialect."""
    write = CODECS[dialect].answer_writer(Reply(id="id_1", model="bench", created=1750000000)).write

    def said(*events: Event) -> bytes:
        data = b"".join(map(write, events))
        return b"%x\r\n%b\r\n" % (len(data), data) if data else b""

    head = said(Started("id_1", "bench", 1750000000), PartOpened(0, "text"))
    event = said(TextDelta(0, "~ word"))
    used = UsageTold(Tokens(12, 40, certainty="known"))
    return Canned(_HEAD + head, event, said(PartClosed(0), used, Stopped("end"), Ended()) + b"0\r\n\r\n")
