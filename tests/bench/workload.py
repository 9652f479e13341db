"""What is sent and answered: prompts, the canned answer, the events of streams. The rule: the same bytes for everybody.

A prompt tells the stream provider what to play in words of its text (`bench events=200 pace_us=20000`), so that it
survives any gateway that passes the text on. Every event with content carries exactly one `~`, which occurs nowhere
else: events can be counted in any slices of the bytes.
"""

import json
import re
from dataclasses import dataclass

MARK = b"~"
PROMPT_BYTES = 600
LARGE_PROMPT_BYTES = 100_000
ANSWER_BYTES = 600
PATH = "/v1/chat/completions"

_TEXT = "The quick brown fox jumps over the lazy dog while the slow tier waits for its turn. "
_PLAY = re.compile(rb"bench((?: [a-z_]+=\d+)+)")
_TIER = re.compile(rb'"service_tier"\s*:\s*"([a-z]+)"')


def _filled(size_bytes: int) -> str:
    return (_TEXT * (size_bytes // len(_TEXT) + 1))[:size_bytes]


def answer() -> bytes:
    """The canned chat completion, exactly ANSWER_BYTES of JSON."""

    def built(text: str) -> bytes:
        return json.dumps(
            {
                "id": "chatcmpl-bench000000000000000001",
                "object": "chat.completion",
                "created": 1750000000,
                "model": "bench",
                "service_tier": "default",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": text, "refusal": None},
                        "logprobs": None,
                        "finish_reason": "stop",
                    }
                ],
                "usage": {
                    "prompt_tokens": 120,
                    "completion_tokens": 40,
                    "total_tokens": 160,
                    "prompt_tokens_details": {"cached_tokens": 0},
                },
            },
            separators=(",", ":"),
        ).encode()

    return built(_filled(ANSWER_BYTES - len(built(""))))


def models() -> bytes:
    """The provider's list of models: the one that every request asks for."""
    return b'{"object":"list","data":[{"id":"bench","object":"model","created":1750000000,"owned_by":"bench"}]}'


def prompt(model: str, size_bytes: int = PROMPT_BYTES, **fields: object) -> bytes:
    """A chat request's body of `size_bytes` (more only if the fields alone are longer), for the canned answer."""
    body = {"model": model, "messages": [{"role": "user", "content": ""}], **fields}
    bare = len(json.dumps(body, separators=(",", ":")))
    body["messages"] = [{"role": "user", "content": _filled(max(size_bytes - bare, 0))}]
    return json.dumps(body, separators=(",", ":")).encode()


def stream_prompt(model: str, *, tier: str | None = "default", start_within: str | None = None, **play: int) -> bytes:
    """A body that asks for a stream played as `play` says: events, pace_us, idle, race (see `Play`)."""
    words = "bench" + "".join(f" {name}={value}" for name, value in play.items())
    body: dict[str, object] = {"model": model, "stream": True, "messages": [{"role": "user", "content": words}]}
    if start_within is not None:
        body["start_within"] = start_within
    elif tier is not None:
        body["service_tier"] = tier
    return json.dumps(body, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Play:
    """What the stream provider plays: `events` with `pace_us` between them (0: as fast as they are taken).

    idle: silence after the first event. race: its number; flex stays silent, every other tier answers at once.
    """

    events: int = 1
    pace_us: int = 0
    idle: int = 0
    race: int = 0
    tier: str = ""
    with_usage: bool = False


def play_of(body: bytes) -> Play:
    """Read a request body as the provider got it. Raises ValueError when it does not say what to play."""
    found = _PLAY.search(body)
    if found is None:
        raise ValueError("the prompt does not say what to play")
    words = dict(word.split("=") for word in found.group(1).decode().split())
    tier = _TIER.search(body)
    return Play(
        **{name: int(value) for name, value in words.items()},
        tier=tier.group(1).decode() if tier else "",
        with_usage=b'"include_usage":true' in body.replace(b" ", b""),
    )


def _event(choices: list[object], tier: str, usage: object = None) -> bytes:
    data = {
        "id": "chatcmpl-bench000000000000000002",
        "object": "chat.completion.chunk",
        "created": 1750000000,
        "model": "bench",
        "service_tier": tier or "default",
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream_head(tier: str) -> bytes:
    """The head of a streamed answer and its first event, which has a role only (it is not the start)."""
    role = _event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}], tier)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + _chunk(role)


def stream_event(tier: str) -> bytes:
    """One event with content, as one chunk: about 240 bytes, as OpenAI's are."""
    return _chunk(_event([{"index": 0, "delta": {"content": "~ word"}, "finish_reason": None}], tier))


def stream_tail(tier: str, with_usage: bool) -> bytes:
    """The events that end a stream, with the last chunk."""
    text = _chunk(_event([{"index": 0, "delta": {}, "finish_reason": "stop"}], tier))
    if with_usage:
        text += _chunk(_event([], tier, {"prompt_tokens": 12, "completion_tokens": 40, "total_tokens": 52}))
    return text + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
