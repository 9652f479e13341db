"""generateContent requests read. The rule: each field finds its place, becomes an extra, or is refused by name.

Contents of the model that follow each other are one turn, since Google's SDKs keep one for each chunk of a stream.
Calls without an id are numbered by their place; a response without one answers the first open call of its name.
"""

from typing import Final

import msgspec
from msgspec import Raw

from appliance.domain.chat import (
    AnyTool,
    Conversation,
    File,
    Image,
    Inline,
    NativeTool,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Role,
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
from appliance.wire.translation import gemini_generate_shapes as shapes
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.gemini_schema import json_schema
from appliance.wire.translation.gemini_seals import HOME, seal_of, usual
from appliance.wire.translation.gemini_spelling import in_camel_case
from appliance.wire.translation.strict import read, top_level, value_of

NAME: Final = "gemini_generate"
FILES: Final = "https://generativelanguage.googleapis.com/"
"""Where files that were uploaded to Google are."""

_REQUEST = msgspec.json.Decoder(shapes.Request)
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(shapes.Request))
_DECLARATIONS = msgspec.json.Decoder(list[shapes.FunctionDeclaration])
_SAFETY = msgspec.json.Decoder(list[dict[str, str]])
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_ENCODER = msgspec.json.Encoder()
_NULL = Raw(b"null")
_TRUE = Raw(b"true")
_NO_ARGUMENTS = "{}"
_NO_FILTER = frozenset({"BLOCK_NONE", "OFF", "HARM_BLOCK_THRESHOLD_UNSPECIFIED"})
_EFFORTS: Final = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high", "XHIGH": "xhigh"}


def read_request(body: bytes) -> Conversation:
    """What was asked; the model is in the path, so that it is empty here unless the body names it.

    Raises CallerFault bad_json, bad_request or inexpressible, naming the field.
    """
    body = in_camel_case(body)
    fields = top_level(body)
    asked = read(_REQUEST, body)
    extras = {name: value for name, value in fields.items() if name not in _KNOWN and value != _NULL}
    if _no_filter(extras.get("safetySettings")):
        extras["safetySettings=none"] = extras.pop("safetySettings")
    config = asked.generation_config or shapes.GenerationConfig()
    _native_config(config, extras)
    turns = _Turns(extras)
    if asked.system_instruction is not None:
        turns.system(asked.system_instruction)
    for number, content in enumerate(asked.contents):
        turns.add(content, f"contents[{number}]")
    return Conversation(
        dialect="gemini_generate",
        model=asked.model.removeprefix("models/"),
        turns=tuple(turns.turns),
        tools=_tools(asked.tools or [], extras),
        tool_choice=_choice(asked.tool_config, extras),
        output=_output(config),
        thinking=_thinking(config.thinking_config),
        max_output_tokens=config.max_output_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=None if config.top_k is None else int(config.top_k),
        frequency_penalty=config.frequency_penalty,
        presence_penalty=config.presence_penalty,
        seed=config.seed,
        n=config.candidate_count,
        stop=tuple(config.stop_sequences or ()),
        logprobs=config.response_logprobs,
        top_logprobs=config.logprobs,
        metadata=value_of(asked.labels),
        store=asked.store,
        extras=extras,
    )


def _no_filter(settings: Raw | None) -> bool:
    """Whether safety settings ask for no filter at all."""
    if settings is None:
        return False
    try:
        return all(one.get("threshold") in _NO_FILTER for one in _SAFETY.decode(settings))
    except msgspec.DecodeError:
        return False


def _native_config(config: shapes.GenerationConfig, extras: dict[str, Raw]) -> None:
    for name in shapes.NATIVE_CONFIG:
        value = value_of(getattr(config, name))
        if value is not None:
            field = "mediaResolution" if name == "media_resolution" else f"generationConfig.{name}"
            extras[field] = value
    modalities = config.response_modalities
    if modalities:
        text_alone = all(one.upper() == "TEXT" for one in modalities)
        extras["generationConfig.responseModalities" + ("=text" if text_alone else "")] = _TRUE


class _Turns:
    """Contents become turns: results that come together are a turn of their own."""

    def __init__(self, extras: dict[str, Raw]) -> None:
        self.turns: list[Turn] = []
        self._extras = extras
        self._calls = 0
        self._open: list[tuple[str, str]] = []  # calls without a result yet: (name, id)

    def system(self, content: shapes.Content) -> None:
        parts: list[Part] = []
        for number, part in enumerate(content.parts or ()):
            parts += self._parts(part, f"systemInstruction.parts[{number}]")
        if parts:
            self.turns.append(Turn("system", tuple(parts)))

    def add(self, content: shapes.Content, at: str) -> None:
        if content.role not in (None, "user", "model", "function"):
            raise CallerFault("bad_request", f"{at}.role: must be user or model.", param=f"{at}.role")
        speaker: Role = "assistant" if content.role == "model" else "user"
        parts: list[Part] = []
        for number, part in enumerate(content.parts or ()):
            parts += self._parts(part, f"{at}.parts[{number}]")
        if speaker == "assistant":
            self._said(parts)
            return
        run: list[Part] = []
        role: Role = speaker
        for one in parts:
            mine: Role = "tool" if isinstance(one, ToolResult) else speaker
            if mine != role and run:
                self.turns.append(Turn(role, tuple(run)))
                run = []
            role = mine
            run.append(one)
        self.turns.append(Turn(role, tuple(run)))

    def _said(self, parts: list[Part]) -> None:
        before: list[Part] = []
        if self.turns and self.turns[-1].role == "assistant":
            before = list(self.turns.pop().parts)
            if before and parts and type(before[-1]) is Text and type(parts[0]) is Text:
                parts[0] = Text(before.pop().text + parts[0].text)  # type: ignore[union-attr]
        joined: list[Part] = before
        for part in parts:
            last = joined[-1] if joined else None
            goes_on = isinstance(last, Reasoning) and last.seal is None and isinstance(part, Reasoning)
            if goes_on and (part.seal is None or part.seal.kind != "part"):  # type: ignore[union-attr]  # just asked
                joined[-1] = Reasoning(last.text + part.text, part.seal)  # type: ignore[union-attr]
            else:
                joined.append(part)
        self.turns.append(Turn("assistant", tuple(joined)))

    def _parts(self, part: shapes.Part, at: str) -> list[Part]:
        """The part, and before it the seal that signs it."""
        for mark in shapes.MARKS:
            value = value_of(getattr(part, mark))
            if value is not None:
                known = {"media_resolution": "mediaResolution", "part_metadata": "partMetadata"}
                self._extras[known.get(mark, f"{at}.videoMetadata")] = value
        call_id = None
        if part.function_call is not None:
            self._calls += 1
            call_id = part.function_call.id or f"call_{self._calls}"
        seal = None if part.thought_signature is None else seal_of(part.thought_signature, call_id)
        if part.thought and part.text is not None:
            if seal is not None and seal.kind == "part":
                return [Reasoning(seal=seal), Reasoning(part.text)]
            return [Reasoning(part.text, seal)]
        told = self._part(part, at, call_id)
        sealed: list[Part] = [] if seal is None else [Reasoning(seal=seal)]
        if seal is not None and told == Text(""):
            return sealed
        return [*sealed, told]

    def _part(self, part: shapes.Part, at: str, call_id: str | None) -> Part:
        if part.text is not None:
            return Text(part.text)
        call = part.function_call
        if call is not None and call_id is not None:
            arguments = value_of(call.args)
            self._open.append((call.name, call_id))
            return ToolCall(call_id, call.name, _NO_ARGUMENTS if arguments is None else str(arguments, "utf-8"))
        if part.function_response is not None:
            return self._result(part.function_response, at)
        if part.inline_data is not None:
            return _inline(part.inline_data, f"{at}.inlineData")
        if part.file_data is not None:
            return _file(part.file_data, f"{at}.fileData")
        for name in shapes.NATIVE_PARTS:
            if value_of(getattr(part, name)) is not None:
                return Opaque("gemini_generate", name, Raw(_ENCODER.encode(part)))
        raise CallerFault("bad_request", f"{at}: holds no data.", param=at)

    def _result(self, result: shapes.FunctionResponse, at: str) -> ToolResult:
        if result.will_continue or result.scheduling is not None:
            raise Inexpressible(f"{at}.functionResponse.scheduling", "a result that goes on cannot be translated")
        call_id = result.id
        for place, (name, known) in enumerate(self._open):
            if known == call_id or (call_id is None and name == result.name):
                call_id = known
                del self._open[place]
                break
        if call_id is None:
            raise CallerFault("bad_request", f"{at}.functionResponse: answers no call of {result.name[:64]}.", param=at)
        text, is_error = _output_of(value_of(result.response))
        content: list[Text | Image | File] = [] if text is None else [Text(text)]
        for number, part in enumerate(result.parts or ()):
            place_of = f"{at}.functionResponse.parts[{number}]"
            told: Part | None = None
            if part.inline_data is not None:
                told = _inline(part.inline_data, f"{place_of}.inlineData")
            elif part.file_data is not None:
                told = _file(part.file_data, f"{place_of}.fileData")
            if not isinstance(told, Image | File):
                raise Inexpressible(place_of, "cannot be translated")
            content.append(told)
        return ToolResult(call_id, tuple(content), is_error)


def _output_of(response: Raw | None) -> tuple[str | None, bool | None]:
    """(text of a response, whether it is an error): its `output` or `error` alone, else the whole as JSON."""
    if response is None:
        return None, None
    try:
        fields = _FIELDS.decode(response)
        if len(fields) == 1:
            (name, value), *_ = fields.items()
            if name in ("output", "error"):
                text = str(value, "utf-8")
                if text.startswith('"'):
                    text = msgspec.json.decode(value, type=str)
                return text, True if name == "error" else None
    except msgspec.DecodeError:
        pass
    return str(response, "utf-8"), None


def _inline(blob: shapes.Blob, at: str) -> Part:
    source = Inline(blob.mime_type, usual(blob.data))
    if blob.mime_type.startswith("image/"):
        return Image(source)
    if blob.mime_type == "application/pdf" or blob.mime_type.startswith("text/"):
        return File(source, blob.display_name)
    raise Inexpressible(at, "sound and film cannot be translated")


def _file(file: shapes.FileData, at: str) -> Part:
    kind = file.mime_type or ""
    if kind.startswith(("audio/", "video/")):
        raise Inexpressible(at, "sound and film cannot be translated")
    source = Uploaded(HOME, file.file_uri) if file.file_uri.startswith(FILES) else Url(file.file_uri)
    return Image(source) if kind.startswith("image/") else File(source, file.display_name)


def _tools(tools: list[dict[str, Raw]], extras: dict[str, Raw]) -> tuple[AnyTool, ...]:
    known: list[AnyTool] = []
    for number, tool in enumerate(tools):
        for kind, value in tool.items():
            at = f"tools[{number}].{kind}"
            if value == _NULL:
                continue  # in proto JSON it is not there
            if kind == "functionDeclarations":
                known += [_declared(one, extras) for one in read(_DECLARATIONS, value, at)]
            elif kind == "googleSearch" and all(given == _NULL for given in read(_FIELDS, value, at).values()):
                known.append(WebSearch())
            else:
                known.append(NativeTool("gemini_generate", kind, Raw(_ENCODER.encode({kind: value}))))
    return tuple(known)


def _declared(declared: shapes.FunctionDeclaration, extras: dict[str, Raw]) -> Tool:
    if declared.behavior not in (None, "BLOCKING", "UNSPECIFIED"):
        raise Inexpressible("tools[].functionDeclarations[].behavior", "cannot be translated")
    if value_of(declared.response) is not None or value_of(declared.response_json_schema) is not None:
        extras["functionDeclarations[].response"] = _TRUE
    schema = value_of(declared.parameters_json_schema)
    googles = value_of(declared.parameters)
    if schema is None and googles is not None:
        schema = json_schema(googles)
    return Tool(declared.name, declared.description, schema)


def _choice(config: shapes.ToolConfig | None, extras: dict[str, Raw]) -> ToolChoice | None:
    if config is None:
        return None
    if value_of(config.retrieval_config) is not None:
        extras["toolConfig.retrievalConfig"] = _TRUE
    if config.include_server_side_tool_invocations:
        extras["toolConfig.includeServerSideToolInvocations"] = _TRUE
    calling = config.function_calling_config
    if calling is None or calling.mode is None or calling.mode == "MODE_UNSPECIFIED":
        return None
    names = tuple(calling.allowed_function_names or ())
    mode = calling.mode.upper()
    if mode == "NONE":
        return ToolChoice("none")
    if mode == "ANY":
        return ToolChoice("named" if len(names) == 1 else "allowed_required" if names else "required", names)
    if mode == "VALIDATED":
        extras["functionCallingConfig.mode=VALIDATED"] = _TRUE
    elif mode != "AUTO":
        raise Inexpressible("toolConfig.functionCallingConfig.mode", "its value is not known here")
    return ToolChoice("allowed", names) if names else ToolChoice("auto")


def _output(config: shapes.GenerationConfig) -> OutputFormat | None:
    schema = value_of(config.response_json_schema)
    googles = value_of(config.response_schema)
    if schema is None and googles is not None:
        schema = json_schema(googles)
    kind = config.response_mime_type
    if kind is None:
        if schema is not None:
            raise CallerFault(
                "bad_request",
                "generationConfig.responseMimeType: a schema wants application/json.",
                param="generationConfig.responseMimeType",
            )
        return None
    if kind == "text/plain":
        return OutputFormat("text")
    if kind != "application/json":
        raise Inexpressible("generationConfig.responseMimeType", "cannot be translated")
    return OutputFormat("json_object") if schema is None else OutputFormat("json_schema", schema)


def _thinking(config: shapes.ThinkingConfig | None) -> Thinking | None:
    if config is None:
        return None
    show = None if config.include_thoughts is None else "summary" if config.include_thoughts else "omitted"
    budget = config.thinking_budget
    level = (config.thinking_level or "").upper()
    if level in ("", "THINKING_LEVEL_UNSPECIFIED"):
        on = None if budget is None else budget != 0
        return Thinking(on, None, budget if budget is not None and budget > 0 else None, show)  # type: ignore[arg-type]
    if level not in _EFFORTS:
        raise Inexpressible("generationConfig.thinkingConfig.thinkingLevel", "its value is not known here")
    return Thinking(True, _EFFORTS[level], budget if budget and budget > 0 else None, show)  # type: ignore[arg-type]
