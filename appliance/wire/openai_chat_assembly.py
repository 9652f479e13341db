"""A streamed chat answer put together as the unstreamed one. The rule: equal as JSON, by this table.

| where | field | how |
|---|---|---|
| chunk | `id`, `created`, `model`, `service_tier`, `system_fingerprint`, `usage`, any other | last that is not null |
| chunk | `object` | `chat.completion` |
| chunk | `obfuscation`; `choices` | dropped; merged by `index`, in that order |
| choice | `finish_reason`, any other | last that is not null (objects: merged key by key) |
| choice | `logprobs` | lists joined; null if there were none |
| delta | `role`, `id`, `type`, `name` | last that is not empty |
| delta | `content`, `refusal` | joined; null if nothing came (`content`: or it is empty beside a call or refusal) |
| delta | `reasoning`, `reasoning_content`, any other text | joined |
| delta | `tool_calls` | merged by `index`, without it; `arguments` and `input` joined |
| delta | `function_call` | `name` as above, `arguments` joined |
| delta | `annotations`, any other list | joined (`annotations` is there even if empty, as OpenAI sends it) |
| delta | `audio` | cannot be assembled |
"""

from typing import Any, Final

import msgspec

from appliance.wire.dialect import NotAssemblable
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.sse import SseSplitter, event_fields

_CHUNK = msgspec.json.Decoder(dict[str, Any])
_ENCODER = msgspec.json.Encoder()
_KEPT_WHOLE: Final = frozenset({"role", "id", "type", "name"})
_DROPPED: Final = frozenset({"choices", "obfuscation", "object"})


class Assembler:
    """Puts one answer together. Feed it whole events with the usage chunk among them (the reader's drop_usage off)."""

    __slots__ = ("_choices", "_splitter", "_top")

    def __init__(self) -> None:
        self._top: dict[str, Any] = {"id": None, "object": "chat.completion", "created": None, "model": None}
        self._choices: dict[int, _Choice] = {}
        self._splitter = SseSplitter()

    def feed(self, events: bytes) -> None:
        """Take whole events; comments and [DONE] are skipped. Raises NotAssemblable on audio or a malformed chunk."""
        for raw in self._splitter.feed(events):
            data = event_fields(raw)[1]
            if data and not data.startswith(b"[DONE]"):
                try:
                    self._take(decode_event(_CHUNK, data))
                except (*UNREADABLE, AttributeError, TypeError):
                    raise NotAssemblable("a chunk is malformed") from None

    def result(self) -> bytes:
        """The unstreamed object as JSON. Raises NotAssemblable if no chunk came."""
        if self._top["id"] is None and not self._choices:
            raise NotAssemblable("there was no chunk")
        top = dict(self._top)
        tail = {key: top.pop(key) for key in ("usage", "service_tier", "system_fingerprint") if key in top}
        top["choices"] = [self._choices[index].whole(index) for index in sorted(self._choices)]
        return _ENCODER.encode(top | tail)

    def _take(self, chunk: dict[str, Any]) -> None:
        for key, value in chunk.items():
            if key not in _DROPPED and (value is not None or key not in self._top):
                self._top[key] = value
        for part in chunk.get("choices") or ():
            index = part.get("index") or 0
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice()
            choice.take(part)


class _Choice:
    __slots__ = ("_calls", "_finish", "_lists", "_logprobs", "_message", "_more", "_texts")

    def __init__(self) -> None:
        self._message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
        self._texts: dict[str, list[str]] = {}
        self._lists: dict[str, list[Any]] = {}
        self._calls: list[tuple[Any, dict[str, Any]]] = []  # (index, call so far)
        self._finish: Any = None
        self._logprobs: dict[str, list[Any] | None] | None = None
        self._more: dict[str, Any] = {}

    def take(self, part: dict[str, Any]) -> None:
        for key, value in part.items():
            if key == "delta":
                for field, given in (value or {}).items():
                    self._take_field(field, given)
            elif key == "finish_reason":
                self._finish = value or self._finish
            elif key == "logprobs":
                self._take_logprobs(value)
            elif key != "index":
                known = self._more.get(key)
                if isinstance(known, dict) and isinstance(value, dict):
                    known.update(value)
                elif value is not None or key not in self._more:
                    self._more[key] = value

    def whole(self, index: int) -> dict[str, Any]:
        message = dict(self._message)
        for field, pieces in self._texts.items():
            message[field] = "".join(pieces)
        message.update(self._lists)
        if self._calls:
            message["tool_calls"] = [call for _, call in self._calls]
        if message["content"] == "" and (self._calls or message["refusal"] or "function_call" in message):
            message["content"] = None  # the role chunk says "" before it is known what follows
        for part in (*message.values(), *(call for _, call in self._calls)):
            _join(part)
        whole = {"index": index, "message": message, "logprobs": self._logprobs, "finish_reason": self._finish}
        return whole | self._more

    def _take_field(self, field: str, given: Any) -> None:
        if field == "audio" and given:
            raise NotAssemblable("the answer is spoken")
        if field == "tool_calls":
            for fragment in given or ():
                self._take_call(fragment)
        elif field == "function_call":
            if given:
                _merge(self._message.setdefault("function_call", {}), given)
        elif isinstance(given, str) and field not in _KEPT_WHOLE:
            if given or field not in ("content", "refusal"):
                self._texts.setdefault(field, []).append(given)
            elif field == "content":
                self._texts.setdefault(field, [])
        elif isinstance(given, list):
            self._lists.setdefault(field, []).extend(given)
        elif isinstance(given, dict):
            _merge(self._message.setdefault(field, {}), given)
        elif given or field not in self._message:
            self._message[field] = given

    def _take_call(self, fragment: dict[str, Any]) -> None:
        index = fragment.get("index")
        call_id = fragment.get("id")
        found = None
        for at, call in reversed(self._calls):
            if index is None or at == index:
                found = call
                break
        # Some servers give every parallel call the same index, or none: a new id opens a new call.
        if found is None or (call_id and found.get("id") and call_id != found["id"]):
            found = {}
            self._calls.append((index, found))
        _merge(found, fragment)
        found.pop("index", None)

    def _take_logprobs(self, value: Any) -> None:
        if not isinstance(value, dict):
            return
        if self._logprobs is None:
            self._logprobs = {"content": None, "refusal": None}
        for key, given in value.items():
            known = self._logprobs.get(key)
            if isinstance(given, list):
                self._logprobs[key] = (known or []) + given if known else list(given)
            elif key not in self._logprobs:
                self._logprobs[key] = given


def _merge(known: dict[str, Any], given: dict[str, Any]) -> None:
    """Add a fragment: names and ids replace, text is gathered in lists (joined at the end), objects merge."""
    for key, value in given.items():
        if key in _KEPT_WHOLE:
            if value or key not in known:
                known[key] = value
        elif isinstance(value, str):
            gathered = known.get(key)
            if isinstance(gathered, _Pieces):
                gathered.append(value)
            else:
                known[key] = _Pieces((value,))
        elif isinstance(value, dict):
            inner = known.get(key)
            if not isinstance(inner, dict):
                inner = known[key] = {}
            _merge(inner, value)
        elif value is not None or key not in known:
            known[key] = value


class _Pieces(list[str]):
    """Text that is still arriving: joined once, so that long arguments cost linear time."""


def _join(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, _Pieces):
                value[key] = "".join(inner)
            else:
                _join(inner)
