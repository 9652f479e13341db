"""generateContent requests written. The rule: the same conversation gives the same bytes; losses go by the table.

Instructions that open the conversation become `systemInstruction`; later ones stand at their place in the user's
voice, since there is no other. A call that no signature comes with gets the mark that Google documents for calls of
other models, or its newer models refuse it.
"""

import base64
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from appliance.domain.chat import (
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
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Url,
    WebSearch,
)
from appliance.wire.translation import gemini_generate_shapes as shapes
from appliance.wire.translation.call_arguments import arguments
from appliance.wire.translation.codec import Target, Written
from appliance.wire.translation.drops import Inexpressible, Losses
from appliance.wire.translation.gemini_seals import HOME, UNSIGNED

_ENCODER = msgspec.json.Encoder()
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_LEVELS: Final = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "XHIGH",
    "max": "XHIGH",
}
_BUDGETS: Final = {"minimal": 512, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 24_576, "max": 24_576}
"""For models that know no level; as Google's own endpoint for OpenAI's dialect maps efforts."""
_MEDIA_TYPES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "html": "text/html",
    "csv": "text/csv",
}


def write_request(conversation: Conversation, target: Target) -> Written:
    """The body to send to `target`; its model belongs in the path. Raises Inexpressible."""
    losses = Losses("gemini_generate")
    losses.look_over(_without_n(conversation))
    _look_over(conversation, losses)
    contents = _Contents(target, losses)
    for number, turn in enumerate(conversation.turns):
        contents.add(turn, f"messages[{number}]")
    config = shapes.GenerationConfig(
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        top_k=conversation.top_k,
        candidate_count=conversation.n if conversation.n == 1 else None,
        max_output_tokens=conversation.max_output_tokens,
        stop_sequences=list(conversation.stop) or None,
        response_logprobs=conversation.logprobs,
        logprobs=conversation.top_logprobs if conversation.logprobs else None,
        presence_penalty=conversation.presence_penalty,
        frequency_penalty=conversation.frequency_penalty,
        seed=conversation.seed,
        thinking_config=_thinking(conversation.thinking, target, losses),
    )
    _output(conversation.output, config, losses)
    request = shapes.Request(
        contents=contents.contents,
        system_instruction=shapes.Content(contents.system) if contents.system else None,
        tools=_tools(conversation, losses) or None,
        tool_config=_choice(conversation),
        generation_config=None if config == shapes.GenerationConfig() else config,
        service_tier=target.tier,
    )
    return Written(_ENCODER.encode(request), losses.fields)


def _without_n(conversation: Conversation) -> Conversation:
    return msgspec.structs.replace(conversation, n=None) if conversation.n == 1 else conversation


def _look_over(conversation: Conversation, losses: Losses) -> None:
    """What generateContent has no field for."""
    if conversation.top_logprobs is not None and not conversation.logprobs:
        losses.drop("top_logprobs" if conversation.top_logprobs else "top_logprobs=0", "top_logprobs")
    for field in ("user", "metadata", "cache_key", "verbosity", "cache"):
        if getattr(conversation, field) is not None:
            losses.drop(field)
    if conversation.store is not None:
        losses.drop("store" if conversation.store else "store=false", "store")
    if conversation.parallel_tool_calls is not None:
        parallel = conversation.parallel_tool_calls
        losses.drop("parallel_tool_calls=true" if parallel else "parallel_tool_calls", "parallel_tool_calls")


class _Contents:
    """Turns become contents."""

    def __init__(self, target: Target, losses: Losses) -> None:
        self.contents: list[shapes.Content] = []
        self.system: list[shapes.Part] = []
        self._home = target.home
        self._losses = losses
        self._marks = target.home == HOME and "thinking_budget" not in target.quirks
        self._names: dict[str, str] = {}  # call → its function's name

    def add(self, turn: Turn, at: str) -> None:
        if turn.name is not None:
            raise Inexpressible(f"{at}.name", "a speaker's name cannot be said to this provider")
        if turn.role == "developer":
            self._losses.drop("role=developer", at)
        parts: Any  # some are Raw, as they stood on the wire
        if turn.role in ("system", "developer"):
            parts = [self._instruction(part, at) for part in turn.parts if not self._is_empty(part)]
            if not self.contents:
                self.system += parts
                return
            self._losses.drop("role=system", at)
        elif turn.role == "assistant":
            parts = self._said(turn, at)
        elif turn.role == "tool":
            parts = [self._result(part, at) for part in turn.parts]
        else:
            parts = [one for part in turn.parts if not self._is_empty(part) for one in self._asked(part, at)]
        if parts:
            self.contents.append(shapes.Content(parts, "model" if turn.role == "assistant" else "user"))

    def _is_empty(self, part: Part) -> bool:
        if isinstance(part, Text) and not part.text:
            self._losses.drop("text.empty")
            return True
        return False

    def _instruction(self, part: Part, at: str) -> shapes.Part:
        if not isinstance(part, Text):
            raise Inexpressible(at, "instructions may hold only text")
        return self._text(part)

    def _text(self, part: Text) -> shapes.Part:
        if part.citations:
            self._losses.drop("text.citations")
        if part.cache is not None:
            self._losses.drop("cache")
        return shapes.Part(text=part.text)

    def _asked(self, part: Part, at: str) -> list[shapes.Part | Raw]:
        if isinstance(part, Text):
            return [self._text(part)]
        if isinstance(part, Image | File):
            context = part.context if isinstance(part, File) else None
            told = self._attached(part, at)
            if context:
                self._losses.drop("file.context")
            return [shapes.Part(text=context), told] if context else [told]
        if isinstance(part, Opaque) and part.dialect == "gemini_generate":
            return [part.raw]
        raise Inexpressible(at, f"a {type(part).__name__} cannot stand in a user's message")

    def _attached(self, part: Image | File, at: str) -> shapes.Part:
        if part.cache is not None:
            self._losses.drop("cache")
        if isinstance(part, Image) and part.detail is not None:
            self._losses.drop("image.detail")
        if isinstance(part, File):
            if part.citations:
                raise Inexpressible(at, "citations of a document cannot be asked for here")
            if part.name is not None:
                self._losses.drop("file.name")
        source = part.source
        if isinstance(source, Inline):
            return shapes.Part(inline_data=shapes.Blob(source.media_type, source.data))
        if isinstance(source, PlainText):
            data = base64.b64encode(source.text.encode()).decode()
            return shapes.Part(inline_data=shapes.Blob("text/plain", data))
        if isinstance(source, Url):
            kind = media_type_of(source.url) or ("image/jpeg" if isinstance(part, Image) else "application/pdf")
            return shapes.Part(file_data=shapes.FileData(source.url, kind))
        if source.home != self._home:
            raise Inexpressible(at, "an uploaded file is known only to the provider that has it: send the file")
        return shapes.Part(file_data=shapes.FileData(source.id))

    def _result(self, result: Part, at: str) -> shapes.Part:
        if not isinstance(result, ToolResult):
            raise Inexpressible(at, "may hold only tool results here")
        if result.custom or result.call_id not in self._names:
            raise Inexpressible(f"{at}.tool_call_id", "answers no function call of this conversation")
        if result.cache is not None:
            self._losses.drop("cache")
        texts = [part.text for part in result.content if isinstance(part, Text)]
        others = [part for part in result.content if not isinstance(part, Text)]
        output = {"error" if result.is_error else "output": "\n".join(texts)}
        parts = []
        for part in others:
            told = self._attached(part, at)
            parts.append(shapes.ResponsePart(told.inline_data, told.file_data))
        return shapes.Part(
            function_response=shapes.FunctionResponse(
                self._names[result.call_id], Raw(_ENCODER.encode(output)), result.call_id, parts or None
            )
        )

    def _said(self, turn: Turn, at: str) -> list[shapes.Part | Raw]:
        parts: list[shapes.Part | Raw] = []
        pending: str | None = None  # the signature of the part that follows
        of_calls: dict[str, str] = {}
        marked = not self._marks
        for part in turn.parts:
            if isinstance(part, Reasoning) and part.seal is not None:
                seal = part.seal
                if seal.home != self._home or seal.kind != "part":
                    self._losses.drop("reasoning.seal")
                elif seal.id is not None:
                    of_calls[seal.id] = seal.data
                else:
                    if pending is not None:
                        parts.append(shapes.Part(text="", thought_signature=pending))
                    pending = seal.data
            if isinstance(part, Reasoning):
                if part.text:
                    self._losses.drop("reasoning.text")
                continue
            if self._is_empty(part):
                continue
            told = self._spoken(part, at)
            if isinstance(told, shapes.Part):
                signature = pending
                pending = None
                if isinstance(part, ToolCall):
                    signature = of_calls.get(part.id) or signature or (None if marked else UNSIGNED)
                    marked = True
                told.thought_signature = signature
            parts.append(told)
        if pending is not None:
            parts.append(shapes.Part(text="", thought_signature=pending))
        return parts

    def _spoken(self, part: Part, at: str) -> shapes.Part | Raw:
        if isinstance(part, Text):
            return self._text(part)
        if isinstance(part, ToolCall):
            if part.custom:
                raise Inexpressible(at, "a call of a tool with free text cannot be said to this provider")
            if part.cache is not None:
                self._losses.drop("cache")
            self._names[part.id] = part.name
            return shapes.Part(function_call=shapes.FunctionCall(part.name, arguments(part, at), part.id))
        if isinstance(part, Refusal):
            self._losses.drop("refusal", at)
            return shapes.Part(text=part.text)
        if isinstance(part, Opaque) and part.dialect == "gemini_generate":
            return part.raw
        if isinstance(part, Image | File):
            return self._attached(part, at)
        raise Inexpressible(at, f"a {type(part).__name__} cannot stand in an assistant's message")


def media_type_of(url: str) -> str | None:
    """The media type that a URL's ending tells, or None; Google wants one."""
    ending = url.partition("?")[0].partition("#")[0].rpartition(".")[2].lower()
    return _MEDIA_TYPES.get(ending)


def _tools(conversation: Conversation, losses: Losses) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    declared: list[shapes.FunctionDeclaration] | None = None  # those that follow each other stand together
    for number, tool in enumerate(conversation.tools):
        at = f"tools[{number}]"
        if isinstance(tool, Tool):
            if tool.cache is not None:
                losses.drop("cache")
            if tool.strict is False:
                losses.drop("tool.strict=false")
            if declared is None:
                declared = []
                written.append({"functionDeclarations": declared})
            schema = UNSET if tool.schema is None else tool.schema
            declared.append(shapes.FunctionDeclaration(tool.name, tool.description, parameters_json_schema=schema))
            continue
        declared = None
        if isinstance(tool, WebSearch):
            _search(tool, at, losses)
            written.append({"googleSearch": {}})
        elif isinstance(tool, NativeTool) and tool.dialect == "gemini_generate":
            written.append(_OBJECT.decode(tool.raw))
        elif isinstance(tool, NativeTool):
            raise Inexpressible(at, f"a {tool.kind} tool is run by its own provider only")
        else:
            raise Inexpressible(at, "a tool that takes free text cannot be said to this provider")
    return written


def _search(tool: WebSearch, at: str, losses: Losses) -> None:
    if tool.context is not None:
        losses.drop("web_search.context")
    for field in ("allowed_domains", "blocked_domains", "most_uses", "location"):
        if getattr(tool, field) is not None:
            losses.drop(f"web_search.{field}", f"{at}.{field}")


def _choice(conversation: Conversation) -> shapes.ToolConfig | None:
    choice = conversation.tool_choice
    kind = "auto" if choice is None else choice.kind
    names = None if choice is None else list(choice.names) or None
    if kind == "none":
        mode = "NONE"
    elif kind in ("required", "named", "allowed_required"):
        mode = "ANY"
    elif kind == "allowed" or any(isinstance(tool, Tool) and tool.strict for tool in conversation.tools):
        mode = "VALIDATED"  # the mode that takes names, and that holds calls to their schemas
    elif choice is None:
        return None
    else:
        mode = "AUTO"
    return shapes.ToolConfig(shapes.CallingConfig(mode, names))


def _output(output: OutputFormat | None, config: shapes.GenerationConfig, losses: Losses) -> None:
    if output is None:
        return
    if output.kind == "text":
        config.response_mime_type = "text/plain"
        return
    config.response_mime_type = "application/json"
    if output.kind == "json_schema":
        for field in ("name", "description", "strict"):
            if getattr(output, field) is not None:
                losses.drop(f"output.{field}")
        if output.schema is not None:
            config.response_json_schema = output.schema


def _thinking(thinking: Thinking | None, target: Target, losses: Losses) -> shapes.ThinkingConfig | None:
    if thinking is None:
        return None
    config = shapes.ThinkingConfig(None if thinking.show is None else thinking.show == "summary")
    effort = thinking.effort
    if thinking.on is False or effort == "none":
        config.thinking_budget = 0
    elif "thinking_budget" in target.quirks:
        if thinking.budget_tokens is not None:
            config.thinking_budget = thinking.budget_tokens
        elif effort is not None:
            losses.drop("thinking.effort")
            config.thinking_budget = _BUDGETS[effort]
        elif thinking.on:
            config.thinking_budget = -1
    elif effort is not None:
        if thinking.budget_tokens is not None:
            losses.drop("thinking.budget_tokens")
        if effort == "max":
            losses.drop("thinking.effort=max")
        config.thinking_level = _LEVELS[effort]
    elif thinking.budget_tokens is not None:
        config.thinking_budget = thinking.budget_tokens
    elif thinking.on:
        losses.drop("thinking.on")
    return None if config == shapes.ThinkingConfig() else config
