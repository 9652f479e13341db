"""Requests of Interactions written. The rule: the same conversation gives the same bytes; losses go by the table.

Nothing is stored at the provider (`store` is false, which is not its default).
"""

import base64
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from appliance.domain.chat import (
    Conversation,
    File,
    Image,
    Inline,
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
from appliance.wire.translation import gemini_interactions_shapes as shapes
from appliance.wire.translation.call_arguments import arguments
from appliance.wire.translation.codec import Target, Written
from appliance.wire.translation.drops import Inexpressible, Losses
from appliance.wire.translation.gemini_generate_request_writer import media_type_of
from appliance.wire.translation.openai_chat_request_writer import effort_of

_ENCODER = msgspec.json.Encoder()
_BETWEEN = "\n\n"


def write_request(conversation: Conversation, target: Target) -> Written:
    """The body to send to `target`. Raises Inexpressible."""
    losses = Losses("gemini_interactions")
    losses.look_over(conversation)
    _look_over(conversation, losses)
    steps = _Steps(target, losses)
    for number, turn in enumerate(conversation.turns):
        steps.add(turn, f"messages[{number}]")
    if len(steps.system) > 1:
        losses.drop("system.texts")
    level, summaries = _thinking(conversation.thinking, losses)
    config = shapes.GenerationConfig(
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        max_output_tokens=conversation.max_output_tokens,
        stop_sequences=list(conversation.stop) or None,
        seed=conversation.seed,
        thinking_level=level,
        thinking_summaries=summaries,
        tool_choice=_choice(conversation),
    )
    request: dict[str, Any] = {
        "model": target.model,
        "system_instruction": _BETWEEN.join(steps.system) or None,
        "input": steps.steps,
        "tools": _tools(conversation, losses) or None,
        "response_format": _output(conversation.output, losses),
        "generation_config": None if config == shapes.GenerationConfig() else config,
        "service_tier": target.tier,
        "stream": True if target.stream else None,
    }
    body = {name: value for name, value in request.items() if value is not None} | {"store": False}
    return Written(_ENCODER.encode(body), losses.fields)


def _look_over(conversation: Conversation, losses: Losses) -> None:
    """What Interactions has no field for, and what would be stored."""
    for field in ("user", "metadata", "cache_key", "verbosity", "cache", "top_k"):
        if getattr(conversation, field) is not None:
            losses.drop(field)
    for field in ("frequency_penalty", "presence_penalty", "top_logprobs"):
        value = getattr(conversation, field)
        if value is not None:
            losses.drop(field if value else f"{field}=0", field)
    for field in ("logprobs", "store"):
        flag = getattr(conversation, field)
        if flag is not None:
            losses.drop(field if flag else f"{field}=false", field)
    if conversation.parallel_tool_calls is not None:
        parallel = conversation.parallel_tool_calls
        losses.drop("parallel_tool_calls=true" if parallel else "parallel_tool_calls", "parallel_tool_calls")


class _Steps:
    """Turns become steps."""

    def __init__(self, target: Target, losses: Losses) -> None:
        self.steps: list[Any] = []
        self.system: list[str] = []
        self._home = target.home
        self._losses = losses
        self._names: dict[str, str] = {}  # call → its function's name

    def add(self, turn: Turn, at: str) -> None:
        if turn.name is not None:
            raise Inexpressible(f"{at}.name", "a speaker's name cannot be said to this provider")
        if turn.role == "developer":
            self._losses.drop("role=developer", at)
        if turn.role in ("system", "developer") and not self.steps:
            self.system += [words for part in turn.parts if (words := self._words(part, at))]
        elif turn.role == "assistant":
            self._said(turn, at)
        elif turn.role == "tool":
            self.steps += [self._result(part, at) for part in turn.parts]
        else:
            if turn.role != "user":
                self._losses.drop("role=system", at)
            contents = [one for part in turn.parts for one in self._contents(part, at)]
            if contents:
                self.steps.append(shapes.UserInput(contents))

    def _words(self, part: Part, at: str) -> str:
        if not isinstance(part, Text):
            raise Inexpressible(at, "instructions may hold only text")
        if part.cache is not None:
            self._losses.drop("cache")
        if part.citations:
            self._losses.drop("text.citations")
        if not part.text:
            self._losses.drop("text.empty")
        return part.text

    def _contents(self, part: Part, at: str) -> list[shapes.Content]:
        """A part as contents: none for an empty text, two for a document with words about it."""
        if isinstance(part, Text | Refusal):
            if isinstance(part, Refusal):
                self._losses.drop("refusal", at)
            elif part.cache is not None:
                self._losses.drop("cache")
            if isinstance(part, Text) and part.citations:
                self._losses.drop("text.citations")
            if not part.text:
                self._losses.drop("text.empty")
            return [shapes.TextContent(part.text)] if part.text else []
        if isinstance(part, Image | File):
            told = self._attached(part, at)
            context = part.context if isinstance(part, File) else None
            if context:
                self._losses.drop("file.context")
            return [shapes.TextContent(context), told] if context else [told]
        raise Inexpressible(at, f"a {type(part).__name__} cannot stand here")

    def _attached(self, part: Image | File, at: str) -> shapes.Content:
        if part.cache is not None:
            self._losses.drop("cache")
        if isinstance(part, Image) and part.detail is not None:
            self._losses.drop("image.detail")
        if isinstance(part, File):
            if part.citations:
                raise Inexpressible(at, "citations of a document cannot be asked for here")
            if part.name is not None:
                self._losses.drop("file.name")
        make = shapes.ImageContent if isinstance(part, Image) else shapes.DocumentContent
        source = part.source
        if isinstance(source, Inline):
            return make(data=source.data, mime_type=source.media_type)
        if isinstance(source, PlainText):
            return make(data=base64.b64encode(source.text.encode()).decode(), mime_type="text/plain")
        if isinstance(source, Url):
            return make(uri=source.url, mime_type=media_type_of(source.url))
        if source.home != self._home:
            raise Inexpressible(at, "an uploaded file is known only to the provider that has it: send the file")
        return make(uri=source.id)

    def _result(self, result: Part, at: str) -> shapes.FunctionResult:
        if not isinstance(result, ToolResult):
            raise Inexpressible(at, "may hold only tool results here")
        if result.custom or result.call_id not in self._names:
            raise Inexpressible(f"{at}.tool_call_id", "answers no function call of this conversation")
        if result.cache is not None:
            self._losses.drop("cache")
        told: Any
        if len(result.content) == 1 and isinstance(only := result.content[0], Text):
            told = only.text
        else:
            told = [one for part in result.content for one in self._contents(part, at)]
        raw = Raw(_ENCODER.encode(told))
        return shapes.FunctionResult(result.call_id, raw, self._names[result.call_id], result.is_error)

    def _said(self, turn: Turn, at: str) -> None:
        words: list[shapes.Content] = []  # those that follow each other are one output
        for part in turn.parts:
            if isinstance(part, Text | Refusal | Image | File):
                words += self._contents(part, at)
                continue
            step = self._step(part, at)
            if step is not None:
                if words:
                    self.steps.append(shapes.ModelOutput(words))
                    words = []
                self.steps.append(step)
        if words:
            self.steps.append(shapes.ModelOutput(words))

    def _step(self, part: Part, at: str) -> shapes.Step | Raw | None:
        """A call, a thought or a step of the provider's own; None: it is left out."""
        if isinstance(part, ToolCall):
            if part.custom:
                raise Inexpressible(at, "a call of a tool with free text cannot be said to this provider")
            if part.cache is not None:
                self._losses.drop("cache")
            self._names[part.id] = part.name
            return shapes.FunctionCall(part.id, part.name, arguments(part, at))
        if isinstance(part, Reasoning):
            seal = part.seal
            if seal is not None and seal.home == self._home and seal.kind == "signature":
                return shapes.Thought(seal.data, [shapes.TextContent(part.text)] if part.text else None)
            if part.text:
                self._losses.drop("reasoning.text")
            if seal is not None:
                self._losses.drop("reasoning.seal")
            return None
        if isinstance(part, Opaque) and part.dialect == "gemini_interactions":
            return part.raw
        raise Inexpressible(at, f"a {type(part).__name__} cannot stand in an assistant's message")


def _tools(conversation: Conversation, losses: Losses) -> list[Any]:
    written: list[Any] = []
    for number, tool in enumerate(conversation.tools):
        at = f"tools[{number}]"
        if isinstance(tool, Tool):
            if tool.cache is not None:
                losses.drop("cache")
            if tool.strict is False:
                losses.drop("tool.strict=false")
            schema = UNSET if tool.schema is None else tool.schema
            written.append(shapes.Function("function", tool.name, tool.description, schema))
        elif isinstance(tool, WebSearch):
            if tool.context is not None:
                losses.drop("web_search.context")
            for field in ("allowed_domains", "blocked_domains", "most_uses", "location"):
                if getattr(tool, field) is not None:
                    losses.drop(f"web_search.{field}", f"{at}.{field}")
            written.append({"type": "google_search"})
        elif getattr(tool, "dialect", None) == "gemini_interactions":
            written.append(tool.raw)  # type: ignore[union-attr]  # a NativeTool
        else:
            raise Inexpressible(at, "such a tool is run by its own provider only, or takes free text")
    return written


def _choice(conversation: Conversation) -> str | shapes.ChoiceConfig | None:
    choice = conversation.tool_choice
    if choice is None or choice.kind == "auto":
        if any(isinstance(tool, Tool) and tool.strict for tool in conversation.tools):
            return "validated"  # the mode that holds calls to their schemas
        return None if choice is None else "auto"
    if choice.kind == "none":
        return "none"
    if choice.kind == "required":
        return "any"
    mode = "auto" if choice.kind == "allowed" else "any"
    return shapes.ChoiceConfig(shapes.Allowed(mode, list(choice.names)))


def _output(output: OutputFormat | None, losses: Losses) -> shapes.Format | None:
    if output is None:
        return None
    if output.kind == "text":
        return shapes.Format("text", "text/plain")
    for field in ("name", "description", "strict"):
        if getattr(output, field) is not None:
            losses.drop(f"output.{field}")
    return shapes.Format("text", "application/json", UNSET if output.schema is None else output.schema)


def _thinking(thinking: Thinking | None, losses: Losses) -> tuple[str | None, str | None]:
    """(level, summaries)."""
    if thinking is None:
        return None, None
    summaries = {None: None, "summary": "auto", "omitted": "none"}[thinking.show]
    effort = effort_of(msgspec.structs.replace(thinking, show=None), losses)
    if effort == "none":
        losses.drop("thinking.on=false")
        return "minimal", summaries
    if effort == "max":
        losses.drop("thinking.effort=max")
        return "xhigh", summaries
    return effort, summaries
