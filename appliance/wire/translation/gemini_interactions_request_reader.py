"""Requests of Interactions read. The rule: each field finds its place, becomes an extra, or is refused by name.

Steps of the model that follow each other are one turn, and so are results. What Google would have to remember
(`previous_interaction_id`, `background`, `store` set to true, agents) has no place here; `store` left out is not asked.
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
from appliance.wire.translation import gemini_interactions_shapes as shapes
from appliance.wire.translation.drops import Inexpressible
from appliance.wire.translation.gemini_generate_request_reader import FILES
from appliance.wire.translation.gemini_seals import HOME, seal_of, usual
from appliance.wire.translation.strict import read, top_level, value_of

_REQUEST = msgspec.json.Decoder(shapes.Request)
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(shapes.Request))
_RAWS = msgspec.json.Decoder(list[Raw])
_TEXT = msgspec.json.Decoder(str)
_NULL = Raw(b"null")
_TRUE = Raw(b"true")
_LEVELS: Final = frozenset({"minimal", "low", "medium", "high", "xhigh"})


def read_request(body: bytes) -> Conversation:
    """What was asked. Raises CallerFault bad_json, bad_request or inexpressible, naming the field."""
    fields = top_level(body)
    asked = read(_REQUEST, body)
    extras = {name: value for name, value in fields.items() if name not in _KNOWN and value != _NULL}
    if extras.get("background") == Raw(b"false"):
        extras["background=false"] = extras.pop("background")
    config = asked.generation_config or shapes.GenerationConfig()
    for name in shapes.NATIVE_CONFIG:
        if value_of(getattr(config, name)) is not None:
            extras[f"generation_config.{name}"] = _TRUE
    turns = _Turns(extras)
    if asked.system_instruction is not None:
        turns.turns.append(Turn("system", (Text(asked.system_instruction),)))
    turns.read(value_of(asked.input))
    return Conversation(
        dialect="gemini_interactions",
        model=asked.model.removeprefix("models/"),
        turns=tuple(turns.turns),
        tools=_tools(asked.tools or [], extras),
        tool_choice=_choice(config.tool_choice, extras),
        output=_output(asked.response_format),
        thinking=_thinking(config),
        max_output_tokens=config.max_output_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        seed=config.seed,
        stop=tuple(config.stop_sequences or ()),
        metadata=value_of(asked.labels),
        store=True if asked.store else None,
        stream=bool(asked.stream),
        extras=extras,
    )


class _Turns:
    """The input becomes turns."""

    def __init__(self, extras: dict[str, Raw]) -> None:
        self.turns: list[Turn] = []
        self._extras = extras

    def read(self, given: Raw | None) -> None:
        """A text, a content, a list of contents or of steps."""
        if given is None:
            return
        first = bytes(given)[:1]
        if first == b'"':
            self.turns.append(Turn("user", (Text(read(_TEXT, given, "input")),)))
            return
        items = [given] if first == b"{" else read(_RAWS, given, "input")
        kinds = [read(shapes.KIND, item, f"input[{number}]").type for number, item in enumerate(items)]
        if kinds and all(kind in shapes.CONTENTS for kind in kinds):
            contents = [read(shapes.CONTENT, item, f"input[{number}]") for number, item in enumerate(items)]
            self.turns.append(Turn("user", self._contents(contents, "input")))
            return
        for number, (kind, item) in enumerate(zip(kinds, items, strict=True)):
            self._step(kind, item, f"input[{number}]")

    def _step(self, kind: str, raw: Raw, at: str) -> None:
        if kind in shapes.NATIVE_STEPS:
            self._join("assistant", (Opaque("gemini_interactions", kind, raw),))
            return
        if kind not in shapes.STEPS:
            raise Inexpressible(f"{at}.type", "its value is not known here and cannot be translated")
        step = read(shapes.STEP, raw, at)
        if isinstance(step, shapes.UserInput):
            self.turns.append(Turn("user", self._contents(step.content, at)))
        elif isinstance(step, shapes.ModelOutput):
            self._join("assistant", self._contents(step.content, at))
        elif isinstance(step, shapes.Thought):
            text = "".join(one.text for one in step.summary or () if isinstance(one, shapes.TextContent))
            seal = None if step.signature is None else seal_of(step.signature, kind="signature")
            if text or seal is not None:
                self._join("assistant", (Reasoning(text, seal),))
        elif isinstance(step, shapes.FunctionCall):
            given = value_of(step.arguments)
            arguments = "{}" if given is None else str(given, "utf-8")
            self._join("assistant", (ToolCall(step.id, step.name, arguments),))
        else:
            result = ToolResult(step.call_id, self._result(step.result, at), True if step.is_error else None)
            self._join("tool", (result,))

    def _join(self, role: Role, parts: tuple[Part, ...]) -> None:
        if self.turns and self.turns[-1].role == role:
            parts = (*self.turns.pop().parts, *parts)
        self.turns.append(Turn(role, parts))

    def _result(self, result: Raw, at: str) -> tuple[Text | Image | File, ...]:
        text = str(result, "utf-8")
        if text.startswith('"'):
            return (Text(read(_TEXT, result, at)),)
        if text.startswith("["):
            return self._contents(read(shapes.PARTS, result, f"{at}.result"), f"{at}.result")
        return (Text(text),)

    def _contents(self, contents: list[shapes.Content], at: str) -> tuple[Text | Image | File, ...]:
        return tuple(self._content(one, f"{at}.content[{number}]") for number, one in enumerate(contents))

    def _content(self, content: shapes.Content, at: str) -> Text | Image | File:
        if isinstance(content, shapes.TextContent):
            if content.annotations:
                self._extras["input[].annotations"] = _TRUE
            return Text(content.text)
        if content.resolution is not None:
            self._extras["input[].resolution"] = _TRUE
        source: Inline | Url | Uploaded
        image = isinstance(content, shapes.ImageContent)
        if content.uri is not None:
            source = Uploaded(HOME, content.uri) if content.uri.startswith(FILES) else Url(content.uri)
        elif content.data is not None:
            kind = content.mime_type or ("image/png" if image else "application/pdf")
            source = Inline(kind, usual(content.data))
        else:
            raise CallerFault("bad_request", f"{at}: has neither data nor uri.", param=at)
        return Image(source) if image else File(source)


def _tools(tools: list[Raw], extras: dict[str, Raw]) -> tuple[AnyTool, ...]:
    known: list[AnyTool] = []
    for number, raw in enumerate(tools):
        at = f"tools[{number}]"
        kind = read(shapes.KIND, raw, at).type
        if kind == "function":
            function = read(shapes.FUNCTION, raw, at)
            if function.defer_loading:
                extras["tools[].defer_loading"] = _TRUE
            if function.short_description is not None:
                extras["tools[].short_description"] = _TRUE
            known.append(Tool(function.name, function.description, value_of(function.parameters)))
        elif kind == "google_search" and b"search_types" not in bytes(raw):
            known.append(WebSearch())
        else:
            known.append(NativeTool("gemini_interactions", kind, raw))
    return tuple(known)


def _choice(choice: str | shapes.ChoiceConfig | None, extras: dict[str, Raw]) -> ToolChoice | None:
    names: tuple[str, ...] = ()
    if isinstance(choice, shapes.ChoiceConfig):
        allowed = choice.allowed_tools or shapes.Allowed()
        names, choice = tuple(allowed.tools or ()), allowed.mode or "auto"
    if choice is None:
        return None
    if choice == "none":
        return ToolChoice("none")
    if choice == "any":
        return ToolChoice("named" if len(names) == 1 else "allowed_required" if names else "required", names)
    if choice == "validated":
        extras["generation_config.tool_choice=validated"] = _TRUE
    elif choice != "auto":
        raise Inexpressible("generation_config.tool_choice", "its value is not known here")
    return ToolChoice("allowed", names) if names else ToolChoice("auto")


def _output(given: shapes.Format | list[shapes.Format] | None) -> OutputFormat | None:
    formats = [given] if isinstance(given, shapes.Format) else given or []
    if not formats:
        return None
    form = formats[0]
    if len(formats) > 1 or form.type != "text":
        raise Inexpressible("response_format", "only one, of text, can be translated")
    schema = value_of(form.schema)
    if schema is not None:
        return OutputFormat("json_schema", schema)
    return OutputFormat("json_object" if form.mime_type == "application/json" else "text")


def _thinking(config: shapes.GenerationConfig) -> Thinking | None:
    summaries = config.thinking_summaries
    show = None if summaries is None else "omitted" if summaries == "none" else "summary"
    level = config.thinking_level
    if level is None:
        return None if show is None else Thinking(show=show)  # type: ignore[arg-type]  # one of its words
    if level not in _LEVELS:
        raise Inexpressible("generation_config.thinking_level", "its value is not known here")
    return Thinking(True, level, show=show)  # type: ignore[arg-type]  # as just asked
