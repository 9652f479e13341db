"""A streamed message put together as the unstreamed one. The rule: equal as JSON, by this table.

| where | field | how |
|---|---|---|
| `message_start` | the message | the frame; `content` is filled |
| `content_block_start` | `content_block` | the block of its `index` |
| `content_block_delta` | `text_delta`, `thinking_delta` | `text`, `thinking` joined |
| | `input_json_delta` | `partial_json` joined and read; nothing: the block's own `input`; cut off: see below |
| | `signature_delta` | `signature`, the last |
| | `citations_delta` | added to `citations` |
| | any other | cannot be assembled |
| `message_delta` | `delta` | its fields that are not null replace the message's |
| | `usage` | its counts that are not null replace the message's |
| | any other field (`context_management`) | becomes the message's |

An answer that a limit cut within a tool's input is whole nevertheless: `stop_reason` says so, and it was paid for. Of
that input the parameters stay that came whole, and `{}` where none did. Anthropic writes nowhere what its unstreamed
answer has then; users report the keys that had arrived, and so does its stream, where each parameter is held back until
it is valid (fine-grained streaming apart).
"""

import re
from typing import Any

import msgspec

from appliance.wire.dialect import NotAssemblable
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.sse import SseSplitter, event_fields

_EVENT = msgspec.json.Decoder(dict[str, Any])
_ENCODER = msgspec.json.Encoder()
_ANY = msgspec.json.Decoder()
_CUT = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})
"""Reasons to stop in the middle of anything. With another one a tool's input is whole, or the answer is garbled."""

_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[{}\[\],]', re.DOTALL)
"""A string, to its end or the text's; or what nests and separates. Possessive: what could be gone back to is kept else,
120 bytes for each character of a string."""


class Assembler:
    """Puts one message together; see `dialect.Assembler`."""

    __slots__ = ("_blocks", "_message", "_pieces", "_splitter")

    def __init__(self) -> None:
        self._message: dict[str, Any] | None = None
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}
        self._splitter = SseSplitter()

    def feed(self, events: bytes) -> None:
        """Take whole events; pings and unknown events are skipped. Raises NotAssemblable."""
        for raw in self._splitter.feed(events):
            data = event_fields(raw)[1]
            if data:
                try:
                    self._take(decode_event(_EVENT, data))
                except NotAssemblable:
                    raise
                except (*UNREADABLE, AttributeError, TypeError, KeyError, ValueError):
                    raise NotAssemblable("an event is malformed") from None

    def result(self) -> bytes:
        """The message as JSON. Raises NotAssemblable if none began, or a tool's input is no JSON and was not cut."""
        if self._message is None:
            raise NotAssemblable("there was no message")
        for (index, field), pieces in self._pieces.items():
            block, text = self._blocks[index], _joined(pieces)
            if field != "partial_json":
                block[field] = text
            elif text:
                try:
                    block["input"] = _ANY.decode(text)
                except (*UNREADABLE, RecursionError):
                    if self._message.get("stop_reason") not in _CUT:
                        raise NotAssemblable("the input of a tool is no JSON") from None
                    block["input"] = _whole_parameters(text)
        if not all(type(index) is int for index in self._blocks):
            raise NotAssemblable("a block has no number")
        content = [self._blocks[index] for index in sorted(self._blocks)]
        return _ENCODER.encode(self._message | {"content": content})

    def _take(self, told: dict[str, Any]) -> None:
        match told.get("type"):
            case "message_start":
                self._message = dict(told["message"])
            case "content_block_start":
                self._blocks[told["index"]] = dict(told["content_block"])
            case "content_block_delta":
                self._add(told["index"], told["delta"])
            case "message_delta" if self._message is not None:
                self._end(self._message, told)

    def _add(self, index: int, delta: dict[str, Any]) -> None:
        block = self._blocks[index]
        match delta["type"]:
            case "text_delta":
                self._join(index, "text", delta["text"])
            case "thinking_delta":
                self._join(index, "thinking", delta["thinking"])
            case "input_json_delta":
                self._join(index, "partial_json", delta["partial_json"])
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
            case _:
                raise NotAssemblable("a delta is of an unknown type")

    def _join(self, index: int, field: str, text: str) -> None:
        pieces = self._pieces.get((index, field))
        if pieces is None:
            first = self._blocks[index].get(field)
            pieces = self._pieces[index, field] = [first] if isinstance(first, str) else []
        pieces.append(text)

    @staticmethod
    def _end(message: dict[str, Any], told: dict[str, Any]) -> None:
        message.update({name: value for name, value in told["delta"].items() if value is not None})
        usage = {name: value for name, value in (told.get("usage") or {}).items() if value is not None}
        message["usage"] = {**(message.get("usage") or {}), **usage}
        message.update({name: value for name, value in told.items() if name not in ("type", "delta", "usage")})


def _whole_parameters(text: str) -> dict[str, Any]:
    """Of an object that was cut off, what is whole. A number at its very end may have had more digits."""
    depth, comma = 0, 0
    for found in _STRUCTURE.finditer(text):
        match found[0]:
            case "{" | "[":
                depth += 1
            case "}" | "]":
                depth -= 1
            case "," if depth == 1:
                comma = found.start()
    for whole in (text[:comma] if text.rstrip()[-1:].isdigit() else text, text[:comma]):
        try:
            kept = _ANY.decode(whole + "}")
        except (*UNREADABLE, RecursionError):
            continue
        if isinstance(kept, dict):
            return kept
    return {}


def _joined(pieces: list[str]) -> str:
    try:
        return "".join(pieces)
    except TypeError:
        raise NotAssemblable("a delta's text is no text") from None
