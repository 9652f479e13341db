"""Chat Completions requests read. The rule: each field finds its place, becomes an extra, or is refused by name."""

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
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
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
from appliance.wire.translation import openai_chat_shapes as shapes
from appliance.wire.translation.codec import UNNAMED, UNNAMED_FILES
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.openai_chat_reasoning import read_details
from appliance.wire.translation.strict import read, top_level, value_of

HOME = "openai"
"""Whose files an id names in this dialect."""

_REQUEST = msgspec.json.Decoder(shapes.Request)
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(shapes.Request))
_NULL = Raw(b"null")
_TRUE = Raw(b"true")
_CACHE_S = {None: None, "5m": 300, "30m": 1800, "1h": 3600, "12h": 43200}


def read_request(body: bytes) -> Conversation:
    """What was asked. Raises CallerFault bad_json, bad_request or inexpressible, naming the field."""
    fields = top_level(body)
    asked = read(_REQUEST, body)
    extras = {name: value for name, value in fields.items() if name not in _KNOWN and value != _NULL}
    if extras.get("modalities") == Raw(b'["text"]'):
        extras["modalities=text"] = extras.pop("modalities")
    if asked.user is not None and asked.safety_identifier not in (None, asked.user):
        extras["user"] = fields["user"]
    options = asked.stream_options
    if options is not None and options.include_obfuscation is not UNSET:
        extras["stream_options.include_obfuscation"] = _TRUE
    tools: list[AnyTool] = [_tool(tool) for tool in asked.tools or ()]
    if asked.web_search_options is not None:
        tools.append(_web_search(asked.web_search_options))
    limit = asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens
    return Conversation(
        dialect="openai_chat",
        model=asked.model,
        turns=_turns(asked.messages, extras),
        tools=tuple(tools),
        tool_choice=_choice(asked.tool_choice),
        parallel_tool_calls=asked.parallel_tool_calls,
        output=_output(asked.response_format),
        thinking=_thinking(asked),
        verbosity=asked.verbosity,
        max_output_tokens=limit,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        frequency_penalty=asked.frequency_penalty,
        presence_penalty=asked.presence_penalty,
        seed=asked.seed,
        n=asked.n,
        stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
        logprobs=asked.logprobs,
        top_logprobs=asked.top_logprobs,
        user=asked.safety_identifier or asked.user,
        metadata=value_of(asked.metadata),
        cache_key=asked.prompt_cache_key,
        store=asked.store,
        stream=bool(asked.stream),
        include_usage=bool(options is not None and options.include_usage),
        extras=extras,
    )


def _turns(messages: list[shapes.Message], extras: dict[str, Raw]) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    results: list[ToolResult] = []
    for number, message in enumerate(messages):
        if isinstance(message, shapes.ToolMessage):
            if message.name is not None:
                extras["messages[].name"] = _TRUE
            results.append(ToolResult(message.tool_call_id, _texts(message.content)))
            continue
        if results:
            turns.append(Turn("tool", tuple(results)))
            results = []
        if isinstance(message, shapes.UserMessage):
            turns.append(Turn("user", _user_parts(message.content), message.name))
        elif isinstance(message, shapes.AssistantMessage):
            turns.append(Turn("assistant", _assistant_parts(message, f"messages[{number}]", extras), message.name))
        else:
            role = "system" if isinstance(message, shapes.SystemMessage) else "developer"
            turns.append(Turn(role, _texts(message.content), message.name))  # type: ignore[arg-type]  # a literal
    if results:
        turns.append(Turn("tool", tuple(results)))
    return tuple(turns)


def _cache(part: shapes.TextPart | shapes.ImagePart | shapes.FilePart | shapes.FunctionTool) -> Cache | None:
    mark: shapes.CacheControl | shapes.Breakpoint | None = part.cache_control
    if mark is None and not isinstance(part, shapes.FunctionTool):
        mark = part.prompt_cache_breakpoint
    return None if mark is None else Cache(_CACHE_S[mark.lifetime])


def _texts(content: shapes.TextParts) -> tuple[Text, ...]:
    if isinstance(content, str):
        return (Text(content),)
    return tuple(Text(part.text, _cache(part)) for part in content)


def _user_parts(content: shapes.UserParts) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),)
    parts: list[Part] = []
    for part in content:
        cache = _cache(part)
        if isinstance(part, shapes.TextPart):
            parts.append(Text(part.text, cache))
        elif isinstance(part, shapes.ImagePart):
            parts.append(Image(data_url(part.image_url.url), part.image_url.detail, cache))
        else:
            parts.append(_file(part.file, cache))
    return tuple(parts)


def _file(file: shapes.FileFile, cache: Cache | None) -> File:
    if file.file_id is not None:
        return File(Uploaded(HOME, file.file_id), file.filename, cache=cache)
    source = data_url(file.file_data or "")
    if isinstance(source, Url):  # bare base64
        source = Inline("application/pdf", source.url)
    name = None if file.filename == UNNAMED_FILES.get(source.media_type) else file.filename
    return File(source, name, cache=cache)


def data_url(url: str) -> Url | Inline:
    """A `data:` URL in base64 as what it holds, any other as it is."""
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        return Inline(head[5:-7], data)
    return Url(url)


def _assistant_parts(message: shapes.AssistantMessage, at: str, extras: dict[str, Raw]) -> tuple[Part, ...]:
    for name in ("audio", "function_call"):
        if value_of(getattr(message, name)) is not None:
            raise Inexpressible(f"{at}.{name}", "cannot be translated")
    if message.annotations:
        extras["messages[].annotations"] = _TRUE
    if value_of(message.parsed) is not None:
        extras["messages[].parsed"] = _TRUE
    parts: list[Part] = []
    thought: list[Reasoning] = []
    if message.reasoning_details:
        thought = read_details(message.reasoning_details, message.reasoning_content)
    elif words := message.reasoning_content or message.reasoning:
        thought = [Reasoning(words)]
    calls = [_call(call, extras) for call in message.tool_calls or ()]
    ids = {call.id for call in calls}
    signed = {block.seal.id: block for block in thought if block.seal is not None and block.seal.kind == "part"}
    parts += [block for block in thought if block.seal is None or block.seal.id not in ids or block.seal.kind != "part"]
    content = message.content
    if isinstance(content, str):
        if content or not (calls or thought or message.refusal):
            parts.append(Text(content))
    else:
        for piece in content or ():
            if isinstance(piece, shapes.TextPart):
                parts.append(Text(piece.text, _cache(piece)))
            else:
                parts.append(Refusal(piece.refusal))
    if message.refusal:
        parts.append(Refusal(message.refusal))
    for call, sent in zip(calls, message.tool_calls or (), strict=True):
        if call.id in signed:
            parts.append(signed[call.id])
        elif isinstance(sent, shapes.FunctionCall) and sent.extra_content is not UNSET:
            seal = _google_seal(sent.extra_content, call.id)
            if seal is None:
                raise Inexpressible(f"{at}.tool_calls[].extra_content", "cannot be translated")
            parts.append(Reasoning(seal=seal))
        parts.append(call)
    return tuple(parts)


def _call(call: shapes.FunctionCall | shapes.CustomCall, extras: dict[str, Raw]) -> ToolCall:
    if isinstance(call, shapes.FunctionCall):
        if value_of(call.function.parsed_arguments) is not None:
            extras["messages[].parsed"] = _TRUE
        return ToolCall(call.id, call.function.name, call.function.arguments)
    return ToolCall(call.id, call.custom.name, call.custom.input, custom=True)


class _Google(msgspec.Struct):
    thought_signature: str


class _Extra(msgspec.Struct):
    google: _Google


_EXTRA = msgspec.json.Decoder(_Extra)


def _google_seal(extra: Raw, call_id: str) -> Seal | None:
    """The seal in a call's `extra_content`, where Google's compatible endpoint puts it; None if there is none."""
    try:
        return Seal("gemini", _EXTRA.decode(extra).google.thought_signature, "part", call_id)
    except msgspec.DecodeError:
        return None


def _tool(tool: shapes.FunctionTool | shapes.CustomTool) -> AnyTool:
    if isinstance(tool, shapes.CustomTool):
        return CustomTool(tool.custom.name, tool.custom.description, value_of(tool.custom.format))
    function = tool.function
    return Tool(function.name, function.description, value_of(function.parameters), function.strict, _cache(tool))


def _web_search(options: shapes.WebSearchOptions) -> WebSearch:
    place = None
    if options.user_location is not None:
        given = msgspec.structs.asdict(options.user_location.approximate)
        place = {name: value for name, value in given.items() if value is not None}
    return WebSearch(options.search_context_size, location=place)


def _choice(choice: shapes.Choice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return ToolChoice(choice)
    if isinstance(choice, shapes.ChooseAllowed):
        allowed = choice.allowed_tools
        names = tuple(named.name for tool in allowed.tools if (named := tool.function or tool.custom) is not None)
        return ToolChoice("allowed" if allowed.mode == "auto" else "allowed_required", names)
    named = choice.function if isinstance(choice, shapes.ChooseFunction) else choice.custom
    return ToolChoice("named", (named.name,))


def _output(form: shapes.Format | None) -> OutputFormat | None:
    if form is None:
        return None
    if isinstance(form, shapes.TextFormat):
        return OutputFormat("text")
    if isinstance(form, shapes.JsonFormat):
        return OutputFormat("json_object")
    told = form.json_schema
    name = None if told.name == UNNAMED else told.name
    return OutputFormat("json_schema", value_of(told.schema), name, told.description, told.strict)


def _thinking(asked: shapes.Request) -> Thinking | None:
    if asked.reasoning_effort is None:
        return None
    if asked.reasoning_effort == "none":
        return Thinking(on=False)
    return Thinking(on=True, effort=asked.reasoning_effort)
