"""Nothing is lost without a word: what a request says is written, refused by name, or told as dropped."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from appliance.domain.chat import (
    Conversation,
    File,
    Inline,
    PlainText,
    Reasoning,
    Refusal,
    Text,
    ToolChoice,
    Turn,
    WebSearch,
)
from appliance.wire.translation.codec import Codec
from appliance.wire.translation.codecs import CODECS
from appliance.wire.translation.drops import Inexpressible
from tests.wire.translation import pairs, rich

EACH = pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))


def in_one_form(conversation: Conversation) -> Conversation:
    """What can be said in two ways, said in one: the same words in two turns or texts or in one, no words beside
    others, a text as a document or as its bytes, an effort with or without the word that the model shall think, an
    empty result, an option that stands among the tools, the choice that is left to the model or leaves one tool.
    """
    turns: list[Turn] = []
    for turn in conversation.turns:
        joins = bool(turns) and turns[-1].role == turn.role and turns[-1].name == turn.name
        parts: list[Any] = list(turns.pop().parts) if joins else []
        given: list[Any] = list(turn.parts)
        for part in given:
            last: Any = parts[-1] if parts else Reasoning()
            if _words(part) and _words(last) and type(part) is type(last):
                parts[-1] = type(part)(last.text + part.text)
            elif part != Reasoning():
                parts.append(_part(part))
        if turn.role == "assistant" and len(parts) > 1:
            parts = [part for part in parts if part != Text("")]
        if parts:
            turns.append(Turn(turn.role, tuple(parts), turn.name))
    thinking = conversation.thinking
    if thinking is not None and thinking.on is None:
        thinking = msgspec.structs.replace(thinking, on=True)
    choice = conversation.tool_choice
    if choice == ToolChoice("auto"):
        choice = None
    elif choice is not None and choice.kind == "allowed_required" and len(choice.names) == 1:
        choice = ToolChoice("named", choice.names)
    tools = tuple(sorted(conversation.tools, key=lambda tool: isinstance(tool, WebSearch)))
    return msgspec.structs.replace(
        conversation, model="", turns=tuple(turns), thinking=thinking, tools=tools, tool_choice=choice, extras={}
    )


def _words(part: Any) -> bool:
    """Whether it is a text or refusal and nothing besides."""
    return isinstance(part, Text | Refusal) and part == type(part)(part.text)


def _part(part: Any) -> Any:
    if isinstance(part, File) and isinstance(part.source, PlainText):
        data = base64.b64encode(part.source.text.encode()).decode()
        return msgspec.structs.replace(part, source=Inline("text/plain", data))
    if hasattr(part, "content"):
        content = tuple(_part(inner) for inner in part.content)
        return msgspec.structs.replace(part, content=() if content == (Text(""),) else content)
    if hasattr(part, "arguments"):
        return msgspec.structs.replace(part, arguments=part.arguments or "{}")
    return part


@EACH
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(conversation=rich.CONVERSATIONS)
def test_what_is_not_refused_nor_told_as_dropped_comes_back(codec: Codec, conversation: Conversation) -> None:
    try:
        written = codec.write_request(conversation, pairs.target(codec))
    except Inexpressible:
        return
    read = msgspec.structs.replace(codec.read_request(written.body), dialect=conversation.dialect)
    said, heard = in_one_form(conversation), in_one_form(read)
    told = {row.split(".")[0].split("=")[0] for row in written.dropped}
    for field in Conversation.__struct_fields__:
        if field not in told and (not written.dropped or field not in ("turns", "tools")):
            assert getattr(heard, field) == getattr(said, field), field
