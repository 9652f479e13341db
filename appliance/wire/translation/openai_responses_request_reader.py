"""Responses requests read. The rule: each field finds its place, becomes an extra, or is refused by name.

Items of the model that follow each other are one turn, and so are outputs of tools. What the provider would have to
remember (`previous_response_id`, `conversation`, `prompt`, `background`, references to items) has no place here.
"""

from typing import Final

import msgspec
from msgspec import UNSET, Raw

from appliance.domain.chat import (
    AnyTool,
    Cache,
    Conversation,
    CustomTool,
    File,
    Image,
    Inline,
    NativeTool,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
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
from appliance.domain.errors import CallerFault
from appliance.wire.translation import openai_responses_shapes as shapes
from appliance.wire.translation.codec import UNNAMED
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.openai_chat_request_reader import data_url
from appliance.wire.translation.seals import unstamp
from appliance.wire.translation.strict import read, top_level, value_of

HOME: Final = "openai"
ENCRYPTED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"

_REQUEST = msgspec.json.Decoder(shapes.Request)
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(shapes.Request))
_NULL = Raw(b"null")
_TRUE = Raw(b"true")
_CACHE_S = {None: None, "30m": 1800, "12h": 43200}


def read_request(body: bytes) -> Conversation:
    """What was asked. Raises CallerFault bad_json, bad_request or inexpressible, naming the field."""
    fields = top_level(body)
    asked = read(_REQUEST, body)
    extras = {name: value for name, value in fields.items() if name not in _KNOWN and value != _NULL}
    for name, value in (("background", b"false"), ("truncation", b'"disabled"')):
        if extras.get(name) == Raw(value):
            extras[f"{name}={value.decode().strip(chr(34))}"] = extras.pop(name)
    if asked.user is not None and asked.safety_identifier not in (None, asked.user):
        extras["user"] = fields["user"]
    if asked.stream_options is not None and asked.stream_options.include_obfuscation is not UNSET:
        extras["stream_options.include_obfuscation"] = _TRUE
    include = set(asked.include or ())
    if include - {ENCRYPTED, LOGPROBS}:
        extras["include"] = fields["include"]
    turns = _Turns(extras)
    if asked.instructions is not None:
        turns.turns.append(Turn("system", (Text(asked.instructions),)))
    if isinstance(asked.input, str):
        turns.turns.append(Turn("user", (Text(asked.input),)))
    else:
        for number, item in enumerate(asked.input or ()):
            turns.add(item, f"input[{number}]")
    text = asked.text or shapes.TextConfig()
    return Conversation(
        dialect="openai_responses",
        model=asked.model,
        turns=tuple(turns.turns),
        tools=_tools(asked.tools or [], extras),
        tool_choice=_choice(asked.tool_choice),
        parallel_tool_calls=asked.parallel_tool_calls,
        output=_output(text.format),
        thinking=_thinking(asked.reasoning, extras),
        verbosity=text.verbosity,
        max_output_tokens=asked.max_output_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        logprobs=True if LOGPROBS in include else None,
        top_logprobs=asked.top_logprobs,
        user=asked.safety_identifier or asked.user,
        metadata=value_of(asked.metadata),
        cache_key=asked.prompt_cache_key,
        store=True if asked.store else None,
        stream=bool(asked.stream),
        extras=extras,
    )


class _Turns:
    """Items become turns."""

    def __init__(self, extras: dict[str, Raw]) -> None:
        self.turns: list[Turn] = []
        self._extras = extras

    def add(self, raw: Raw, at: str) -> None:
        kind = read(shapes.KIND, raw, at).type
        decoder = shapes.ITEMS.get(kind)
        if decoder is None:
            if kind not in shapes.NATIVE_ITEMS:
                raise Inexpressible(f"{at}.type", "its value is not known here and cannot be translated")
            self._join("assistant", [Opaque("openai_responses", kind, raw)])
            return
        item = read(decoder, raw, at)
        if isinstance(item, shapes.Message):
            self._message(item, at)
            return
        if isinstance(item, shapes.ReasoningItem):
            self._join("assistant", _thought(item))
            return
        caller = value_of(item.caller)
        if item.namespace is not None or (caller is not None and read(shapes.KIND, caller, at).type != "direct"):
            raise Inexpressible(f"{at}.caller", "calls by a program or of a namespace cannot be translated")
        if isinstance(item, shapes.CallOutput):
            custom = item.type == "custom_tool_call_output"
            self._join("tool", [ToolResult(item.call_id, _result(item.output, self._extras), custom=custom)])
        elif isinstance(item, shapes.FunctionCall):
            self._join("assistant", [ToolCall(item.call_id, item.name, item.arguments)])
        else:
            self._join("assistant", [ToolCall(item.call_id, item.name, item.input, custom=True)])

    def _message(self, message: shapes.Message, at: str) -> None:
        if message.phase is not None:
            self._extras["input[].phase"] = _TRUE
        content = message.content
        parts: list[Part] = [Text(content)] if isinstance(content, str) else [self._part(one) for one in content]
        if message.role == "assistant":
            self._join("assistant", parts)
        else:
            self.turns.append(Turn(message.role, tuple(parts)))

    def _join(self, role: Role, parts: list[Part]) -> None:
        if self.turns and self.turns[-1].role == role:
            parts = [*self.turns.pop().parts, *parts]
        if parts:
            self.turns.append(Turn(role, tuple(parts)))

    def _part(self, part: shapes.ContentPart) -> Part:
        if isinstance(part, shapes.OutputText):
            if part.annotations:
                self._extras["input[].annotations"] = _TRUE
            return Text(part.text)
        if isinstance(part, shapes.RefusalPart):
            return Refusal(part.refusal)
        return _asked(part, self._extras)


def _cache(mark: shapes.Breakpoint | None) -> Cache | None:
    return None if mark is None else Cache(_CACHE_S[mark.lifetime])


def _asked(part: shapes.OutputPart, extras: dict[str, Raw]) -> Text | Image | File:
    cache = _cache(part.prompt_cache_breakpoint)
    if isinstance(part, shapes.InputText):
        return Text(part.text, cache)
    if isinstance(part, shapes.InputImage):
        if part.file_id is not None:
            return Image(Uploaded(HOME, part.file_id), part.detail, cache)
        return Image(data_url(part.image_url or ""), part.detail, cache)
    if part.detail is not None:
        extras["input[].detail"] = _TRUE
    if part.file_id is not None:
        return File(Uploaded(HOME, part.file_id), part.filename, cache=cache)
    if part.file_url is not None:
        return File(Url(part.file_url), part.filename, cache=cache)
    source = data_url(part.file_data or "")
    if isinstance(source, Url):  # bare base64
        source = Inline("application/pdf", source.url)
    return File(source, part.filename, cache=cache)


def _result(output: str | list[shapes.OutputPart], extras: dict[str, Raw]) -> tuple[Text | Image | File, ...]:
    return (Text(output),) if isinstance(output, str) else tuple(_asked(part, extras) for part in output)


def _thought(item: shapes.ReasoningItem) -> list[Part]:
    text = "\n\n".join(part.text for part in item.summary or item.content or ())
    sealed = item.encrypted_content
    if not sealed:
        return [Reasoning(text)] if text else []
    return [Reasoning(text, unstamp(sealed) or Seal(HOME, sealed, "encrypted", item.id))]


def _tools(tools: list[Raw], extras: dict[str, Raw]) -> tuple[AnyTool, ...]:
    known: list[AnyTool] = []
    for number, raw in enumerate(tools):
        at = f"tools[{number}]"
        kind = read(shapes.KIND, raw, at).type
        if kind == "function":
            function = read(shapes.FUNCTION_TOOL, raw, at)
            _look_at(function, at, extras)
            if value_of(function.output_schema) is not None:
                extras["tools[].output_schema"] = _TRUE
            schema = value_of(function.parameters)
            known.append(Tool(function.name, function.description, schema, True if function.strict else None))
        elif kind == "custom":
            custom = read(shapes.CUSTOM_TOOL, raw, at)
            _look_at(custom, at, extras)
            known.append(CustomTool(custom.name, custom.description, value_of(custom.format)))
        elif kind.startswith(shapes.WEB_SEARCH):
            searching = _search(read(shapes.WEB_SEARCH_TOOL, raw, at), at, extras)
            known += [] if searching is None else [searching]
        else:
            known.append(NativeTool("openai_responses", kind, raw))
    return tuple(known)


def _look_at(tool: shapes.FunctionTool | shapes.CustomTool, at: str, extras: dict[str, Raw]) -> None:
    if tool.defer_loading:
        extras["tools[].defer_loading"] = _TRUE
    if tool.allowed_callers is not None:
        if "direct" not in tool.allowed_callers:
            raise Inexpressible(f"{at}.allowed_callers", "a tool that the model may not call cannot be translated")
        extras["tools[].allowed_callers"] = _TRUE


def _search(tool: shapes.WebSearchTool, at: str, extras: dict[str, Raw]) -> WebSearch | None:
    """The web search; None: one that may look into the provider's cache alone is left out."""
    if tool.external_web_access is False:
        extras["tools[].external_web_access=false"] = _TRUE
        return None
    if tool.search_content_types not in (None, ["text"]):
        raise Inexpressible(f"{at}.search_content_types", "cannot be translated")
    filters = tool.filters or shapes.Filters()
    place = None
    if tool.user_location is not None:
        given = msgspec.structs.asdict(tool.user_location)
        place = {name: value for name, value in given.items() if value is not None and name != "type"}
    return WebSearch(
        tool.search_context_size,
        None if filters.allowed_domains is None else tuple(filters.allowed_domains),
        location=place,
    )


def _choice(choice: str | shapes.Choose | None) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return ToolChoice(choice)  # type: ignore[arg-type]  # the three words
    if choice.type == "allowed_tools":
        names = tuple(tool.name for tool in choice.tools or () if tool.name is not None)
        if len(names) != len(choice.tools or ()):
            raise Inexpressible("tool_choice.tools", "a provider's own tool cannot be chosen in translation")
        return ToolChoice("allowed" if choice.mode != "required" else "allowed_required", names)
    if choice.type not in ("function", "custom") or choice.name is None:
        raise Inexpressible("tool_choice", "a provider's own tool cannot be chosen in translation")
    return ToolChoice("named", (choice.name,))


def _output(form: shapes.Format | None) -> OutputFormat | None:
    if form is None:
        return None
    if form.type == "json_schema" and form.schema is UNSET:
        raise CallerFault("bad_request", "text.format.schema: is missing.", param="text.format.schema")
    name = None if form.name == UNNAMED else form.name
    return OutputFormat(form.type, value_of(form.schema), name, form.description, form.strict)


def _thinking(asked: shapes.Reasoning | None, extras: dict[str, Raw]) -> Thinking | None:
    if asked is None:
        return None
    for field, usual in (("context", "auto"), ("mode", "standard")):
        value = getattr(asked, field)
        if value is not None:
            extras[f"reasoning.{field}" + (f"={usual}" if value == usual else "")] = _TRUE
    show: Final = "summary" if asked.summary or asked.generate_summary else None
    if asked.effort is None:
        return None if show is None else Thinking(show=show)
    if asked.effort == "none":
        return Thinking(on=False, show=show)
    return Thinking(True, asked.effort, show=show)
