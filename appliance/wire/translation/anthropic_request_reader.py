"""Messages requests read. The rule: each field finds its place, becomes an extra, or is refused by name."""

import msgspec
from msgspec import UNSET, Raw

from appliance.domain.chat import (
    AnyTool,
    Cache,
    Conversation,
    File,
    Image,
    Inline,
    NativeTool,
    Opaque,
    OutputFormat,
    Part,
    PlainText,
    Reasoning,
    Role,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Uploaded,
    Url,
    WebSearch,
)
from appliance.wire.translation import anthropic_shapes as shapes
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.seals import unstamp
from appliance.wire.translation.strict import read, top_level

HOME = "anthropic"
"""Whose seals and files this dialect's fields hold, if they say nothing else."""

_REQUEST = msgspec.json.Decoder(shapes.Request)
_TOOL = msgspec.json.Decoder(shapes.Tool)
_WEB_SEARCH = msgspec.json.Decoder(shapes.WebSearchTool)
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(shapes.Request))
_NULL = Raw(b"null")
_LIFETIMES_S = {None: None, "5m": 300, "1h": 3600}
_TRUE = Raw(b"true")


def read_request(body: bytes) -> Conversation:
    """What was asked. Raises CallerFault bad_json, bad_request or inexpressible, naming the field."""
    fields = top_level(body)
    asked = read(_REQUEST, body)
    extras = {name: value for name, value in fields.items() if name not in _KNOWN and value != _NULL}
    if extras.get("speed") == Raw(b'"standard"'):
        extras["speed=standard"] = extras.pop("speed")
    turns = _Turns(extras)
    if asked.system is not None:
        turns.system(asked.system)
    for number, message in enumerate(asked.messages):
        turns.add(message, f"messages[{number}]")
    choice = asked.tool_choice
    single = None if choice is None or isinstance(choice, shapes.ChooseNone) else choice.disable_parallel_tool_use
    output = asked.output_config
    return Conversation(
        dialect="anthropic_messages",
        model=asked.model,
        turns=tuple(turns.turns),
        tools=tuple(_tool(tool, f"tools[{number}]", extras) for number, tool in enumerate(asked.tools or ())),
        tool_choice=_choice(choice),
        parallel_tool_calls=None if single is None else not single,
        output=None if output is None or output.format is None else OutputFormat("json_schema", output.format.schema),
        thinking=_thinking(asked),
        max_output_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        stop=tuple(asked.stop_sequences or ()),
        user=None if asked.metadata is None else asked.metadata.user_id,
        cache=_cache(asked.cache_control),
        stream=bool(asked.stream),
        extras=extras,
    )


class _Turns:
    """Messages become turns: results that come together are a turn of their own."""

    def __init__(self, extras: dict[str, Raw]) -> None:
        self.turns: list[Turn] = []
        self._extras = extras

    def system(self, content: str | list[shapes.TextBlock]) -> None:
        if isinstance(content, str):
            self.turns.append(Turn("system", (Text(content),)))
        elif content:
            self.turns.append(Turn("system", tuple(self._text(block) for block in content)))

    def add(self, message: shapes.Message, at: str) -> None:
        if isinstance(message.content, str):
            self.turns.append(Turn(message.role, (Text(message.content),)))
            return
        run: list[Part] = []
        role: Role = message.role
        for number, raw in enumerate(message.content):
            part = self._part(raw, f"{at}.content[{number}]")
            speaker: Role = "tool" if isinstance(part, ToolResult) else message.role
            if speaker != role and run:
                self.turns.append(Turn(role, tuple(run)))
                run = []
            role = speaker
            run.append(part)
        self.turns.append(Turn(role, tuple(run)))

    def _part(self, raw: Raw, at: str) -> Part:
        kind = read(shapes.KIND, raw, at).type
        decoder = shapes.BLOCKS.get(kind)
        if decoder is None:
            if kind in shapes.NATIVE_BLOCKS:
                return Opaque("anthropic_messages", kind, raw)
            raise Inexpressible(f"{at}.type", "its value is not known here and cannot be translated")
        block = read(decoder, raw, at)
        if isinstance(block, shapes.TextBlock):
            return self._text(block)
        if isinstance(block, shapes.ImageBlock):
            return Image(_source(block.source), cache=_cache(block.cache_control))
        if isinstance(block, shapes.DocumentBlock):
            return _document(block)
        if isinstance(block, shapes.ThinkingBlock):
            signature = block.signature
            return Reasoning(block.thinking, unstamp(signature) or Seal(HOME, signature) if signature else None)
        if isinstance(block, shapes.RedactedBlock):
            return Reasoning("", unstamp(block.data) or Seal(HOME, block.data, "redacted"))
        if isinstance(block, shapes.ToolUseBlock):
            if block.caller is not None:
                if block.caller.type != "direct":
                    raise Inexpressible(f"{at}.caller", "a call by a server tool cannot be translated")
                self._extras["caller"] = _TRUE
            return ToolCall(block.id, block.name, str(block.input, "utf-8"), cache=_cache(block.cache_control))
        return self._result(block, at)

    def _text(self, block: shapes.TextBlock) -> Text:
        if block.citations:
            self._extras["messages[].citations"] = _TRUE
        return Text(block.text, _cache(block.cache_control))

    def _result(self, block: shapes.ToolResultBlock, at: str) -> ToolResult:
        content: list[Text | Image | File] = []
        if isinstance(block.content, str):
            content.append(Text(block.content))
        else:
            for number, raw in enumerate(block.content or ()):
                part = self._part(raw, f"{at}.content[{number}]")
                if not isinstance(part, Text | Image | File):
                    raise Inexpressible(f"{at}.content[{number}]", "cannot be translated inside a tool's result")
                content.append(part)
        return ToolResult(block.tool_use_id, tuple(content), block.is_error, cache=_cache(block.cache_control))


def _cache(control: shapes.CacheControl | None) -> Cache | None:
    return None if control is None else Cache(_LIFETIMES_S[control.lifetime])


def _source(source: shapes.Base64Source | shapes.UrlSource | shapes.FileSource) -> Inline | Url | Uploaded:
    if isinstance(source, shapes.Base64Source):
        return Inline(source.media_type, source.data)
    if isinstance(source, shapes.UrlSource):
        return Url(source.url)
    return Uploaded(HOME, source.file_id)


def _document(block: shapes.DocumentBlock) -> File:
    source = block.source
    return File(
        PlainText(source.data) if isinstance(source, shapes.TextSource) else _source(source),
        block.title,
        block.context,
        None if block.citations is None else block.citations.enabled,
        _cache(block.cache_control),
    )


def _tool(raw: Raw, at: str, extras: dict[str, Raw]) -> AnyTool:
    kind = read(shapes.KIND, raw, at).type
    if kind not in (None, "custom"):
        if not kind.startswith("web_search_"):
            return NativeTool("anthropic_messages", kind, raw)
        search = read(_WEB_SEARCH, raw, at)
        if search.cache_control is not None:
            extras["tools[].cache_control"] = _TRUE
        return WebSearch(
            allowed_domains=None if search.allowed_domains is None else tuple(search.allowed_domains),
            blocked_domains=None if search.blocked_domains is None else tuple(search.blocked_domains),
            most_uses=search.max_uses,
            location=None if search.user_location is None else _place(search.user_location),
        )
    tool = read(_TOOL, raw, at)
    if tool.defer_loading:
        extras["tools[].defer_loading"] = _TRUE
    if tool.eager_input_streaming is not None:
        extras["tools[].eager_input_streaming"] = _TRUE
    if tool.input_examples is not UNSET and tool.input_examples != _NULL:
        extras["tools[].input_examples"] = _TRUE
    if tool.allowed_callers is not None:
        if "direct" not in tool.allowed_callers:
            raise Inexpressible(f"{at}.allowed_callers", "a tool that only a server tool may call cannot be translated")
        extras["tools[].allowed_callers"] = _TRUE
    return Tool(tool.name, tool.description, tool.input_schema, tool.strict, _cache(tool.cache_control))


def _place(place: shapes.Place) -> dict[str, str]:
    return {name: value for name, value in msgspec.structs.asdict(place).items() if value is not None}


def _choice(choice: shapes.Choice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, shapes.ChooseTool):
        return ToolChoice("named", (choice.name,))
    if isinstance(choice, shapes.ChooseAny):
        return ToolChoice("required")
    return ToolChoice("auto" if isinstance(choice, shapes.ChooseAuto) else "none")


def _thinking(asked: shapes.Request) -> Thinking | None:
    effort = None if asked.output_config is None else asked.output_config.effort
    thinking = asked.thinking
    if thinking is None:
        return None if effort is None else Thinking(effort=effort)
    if isinstance(thinking, shapes.ThinkingDisabled):
        return Thinking(on=False, effort=effort)
    show = {None: None, "summarized": "summary", "omitted": "omitted"}[thinking.display]
    if isinstance(thinking, shapes.ThinkingAdaptive):
        return Thinking(on=True, effort=effort, show=show)  # type: ignore[arg-type]  # one of its words
    return Thinking(effort=effort, budget_tokens=thinking.budget_tokens, show=show)  # type: ignore[arg-type]
