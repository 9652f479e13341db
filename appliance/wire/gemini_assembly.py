"""Streamed chunks put together as the unstreamed answer. The rule: equal as JSON, by this table.

| where | field | how |
|---|---|---|
| chunk | `candidates` | merged by `index` (none: 0), in that order |
| chunk | any other (`usageMetadata`, `modelVersion`, `responseId`, `promptFeedback`) | last that is not null |
| candidate | `content.parts` | added; text that goes on (both thought or both not, no signature before) is joined |
| | | a part that is nothing but an empty text is left out, if there are others |
| candidate | `content.role`, any other | last that is not null |
"""

from typing import Any

import msgspec

from appliance.wire.dialect import NotAssemblable
from appliance.wire.openai_stream import UNREADABLE, decode_event
from appliance.wire.sse import SseSplitter, event_fields

_CHUNK = msgspec.json.Decoder(dict[str, Any])
_ENCODER = msgspec.json.Encoder()
_TEXT = frozenset({"text", "thought", "thoughtSignature"})


class Assembler:
    """Puts one answer together; see `dialect.Assembler`."""

    __slots__ = ("_candidates", "_splitter", "_top")

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._candidates: dict[int, dict[str, Any]] = {}
        self._splitter = SseSplitter()

    def feed(self, events: bytes) -> None:
        """Take whole events. Raises NotAssemblable on a malformed chunk."""
        for raw in self._splitter.feed(events):
            data = event_fields(raw)[1]
            if data:
                try:
                    self._take(decode_event(_CHUNK, data))
                except (*UNREADABLE, AttributeError, TypeError):
                    raise NotAssemblable("a chunk is malformed") from None

    def result(self) -> bytes:
        """The answer as JSON. Raises NotAssemblable if no chunk came."""
        if not self._top:
            raise NotAssemblable("there was no chunk")
        whole = dict(self._top)
        if "candidates" in whole:
            whole["candidates"] = [_joined(self._candidates[index]) for index in sorted(self._candidates)]
        return _ENCODER.encode(whole)

    def _take(self, chunk: dict[str, Any]) -> None:
        for name, value in chunk.items():
            if name == "candidates":
                self._top[name] = None
                for candidate in value or ():
                    self._add(candidate)
            elif value is not None or name not in self._top:
                self._top[name] = value

    def _add(self, given: dict[str, Any]) -> None:
        known = self._candidates.setdefault(given.get("index") or 0, {})
        for name, value in given.items():
            if name == "content" and isinstance(value, dict):
                content = known.setdefault("content", {})
                for key, inner in value.items():
                    if key == "parts":
                        _append(content.setdefault("parts", []), inner or ())
                    elif inner is not None:
                        content[key] = inner
            elif value is not None or name not in known:
                known[name] = value


def _append(parts: list[dict[str, Any]], given: Any) -> None:
    """Add parts; text that is still arriving is gathered in lists (joined at the end)."""
    for part in given:
        if not isinstance(part.get("text", ""), str):
            raise TypeError
        last = parts[-1] if parts else None
        goes_on = (
            last is not None
            and "text" in part
            and "text" in last
            and part.keys() <= _TEXT
            and last.keys() <= _TEXT
            and "thoughtSignature" not in last
            and bool(part.get("thought")) == bool(last.get("thought"))
        )
        if last is None or not goes_on:
            parts.append({**part, "text": [part["text"]]} if "text" in part else dict(part))
            continue
        last["text"].append(part["text"])
        if "thoughtSignature" in part:
            last["thoughtSignature"] = part["thoughtSignature"]


def _joined(candidate: dict[str, Any]) -> dict[str, Any]:
    parts = candidate.get("content", {}).get("parts", [])
    for part in parts:
        if "text" in part:
            part["text"] = "".join(part["text"])
    filled = [part for part in parts if part != {"text": ""}]
    if filled:  # the last chunk has an empty text, to have something
        candidate["content"]["parts"] = filled
    return candidate
