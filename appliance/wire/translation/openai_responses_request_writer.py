"""Responses requests written. The rule: the same conversation gives the same bytes; losses go by the table.

Nothing is stored at the provider (`store` is false, which is not its default); so reasoning comes encrypted. The
`strict` of a function is always said, since left out it would mean true.
"""

import base64
from typing import Any

import msgspec
from msgspec import UNSET

from appliance.domain.chat import (
    AnyTool,
    Cache,
    Conversation,
    CustomTool,
    File,
    Image,
    Opaque,
    OutputFormat,
    Part,
    PlainText,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Uploaded,
    Url,
    WebSearch,
)
from appliance.wire.translation import openai_responses_shapes as shapes
from appliance.wire.translation.codec import UNNAMED, Target, Written
from appliance.wire.translation.drops import Inexpressible, Losses
from appliance.wire.translation.openai_chat_request_writer import effort_of
from appliance.wire.translation.openai_responses_request_reader import ENCRYPTED, LOGPROBS

_ENCODER = msgspec.json.Encoder()
_NO_ARGUMENTS = "{}"
_NO_SCHEMA = msgspec.Raw(b"null")


def write_request(conversation: Conversation, target: Target) -> Written:
    """The body to send to `target`. Raises Inexpressible."""
    losses = Losses("openai_responses")
    losses.look_over(conversation)
    _look_over(conversation, losses)
    turns = conversation.turns
    instructions = _instructions(turns)
    items = _Items(target, losses)
    for number, turn in enumerate(turns):
        if number or instructions is None:
            items.add(turn, f"messages[{number}]")
    text = shapes.TextConfig(_output(conversation.output), conversation.verbosity)
    include = [LOGPROBS] if conversation.logprobs else []
    if items.sealed or (conversation.thinking is not None and conversation.thinking.on is not False):
        include.insert(0, ENCRYPTED)
    request: dict[str, Any] = {
        "model": target.model,
        "instructions": instructions,
        "input": items.items,
        "tools": _tools(conversation.tools, losses) or None,
        "tool_choice": _choice(conversation),
        "parallel_tool_calls": conversation.parallel_tool_calls,
        "text": None if text == shapes.TextConfig() else text,
        "reasoning": _reasoning(conversation, losses),
        "max_output_tokens": conversation.max_output_tokens,
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "top_logprobs": conversation.top_logprobs,
        "include": include or None,
        "safety_identifier": conversation.user,
        "prompt_cache_key": conversation.cache_key,
        "service_tier": target.tier,
        "stream": True if target.stream else None,
    }
    body = {name: value for name, value in request.items() if value is not None} | {"store": False}
    return Written(_ENCODER.encode(body), losses.fields)


def _look_over(conversation: Conversation, losses: Losses) -> None:
    """What Responses has no field for, and what would be stored."""
    for field in ("seed", "top_k", "metadata", "cache"):
        if getattr(conversation, field) is not None:
            losses.drop(field)
    if conversation.stop:
        losses.drop("stop")
    for field in ("frequency_penalty", "presence_penalty"):
        value = getattr(conversation, field)
        if value is not None:
            losses.drop(field if value else f"{field}=0", field)
    if conversation.logprobs is False:
        losses.drop("logprobs=false", "logprobs")
    if conversation.store is not None:
        losses.drop("store" if conversation.store else "store=false", "store")


def _instructions(turns: tuple[Turn, ...]) -> str | None:
    """The text of the first turn, if it is a system's and has no marks; else it stands among the items."""
    if not turns or turns[0].role != "system" or turns[0].name is not None or len(turns[0].parts) != 1:
        return None
    only = turns[0].parts[0]
    return only.text if isinstance(only, Text) and only.cache is None and not only.citations else None


class _Items:
    """Turns become items."""

    def __init__(self, target: Target, losses: Losses) -> None:
        self.items: list[Any] = []
        self.sealed = False  # whether encrypted reasoning is among them
        self._quirks = target.quirks
        self._home = target.home
        self._losses = losses

    def add(self, turn: Turn, at: str) -> None:
        if turn.name is not None:
            raise Inexpressible(f"{at}.name", "a speaker's name cannot be said to this provider")
        if turn.role == "assistant":
            self._said(turn, at)
        elif turn.role == "tool":
            for part in turn.parts:
                self._result(part, at)
        else:
            parts = [self._asked(part, at) for part in turn.parts]
            role = "system" if turn.role == "developer" and "no_developer" in self._quirks else turn.role
            content: Any = parts
            if len(parts) == 1 and isinstance(parts[0], shapes.InputText) and parts[0].prompt_cache_breakpoint is None:
                content = parts[0].text
            if turn.role != "user" and not all(isinstance(part, shapes.InputText) for part in parts):
                raise Inexpressible(at, "instructions may hold only text")
            self._message(role, content)

    def _message(self, role: Any, content: Any) -> None:
        self.items.append(shapes.Message(role, content, "message"))

    def _said(self, turn: Turn, at: str) -> None:
        words: list[shapes.OutputText | shapes.RefusalPart] = []  # those that follow each other are one message
        for part in turn.parts:
            if isinstance(part, Text | Refusal):
                words.append(self._words(part))
                continue
            item = self._item(part, at)
            if item is not None:
                self._speak(words)
                words = []
                self.items.append(item)
        self._speak(words)

    def _speak(self, words: list[shapes.OutputText | shapes.RefusalPart]) -> None:
        if len(words) == 1 and isinstance(words[0], shapes.OutputText):
            self._message("assistant", words[0].text)
        elif words:
            self._message("assistant", words)

    def _words(self, part: Text | Refusal) -> shapes.OutputText | shapes.RefusalPart:
        if isinstance(part, Refusal):
            return shapes.RefusalPart(part.text)
        if part.citations:
            self._losses.drop("text.citations")
        if part.cache is not None:
            self._losses.drop("cache")
        return shapes.OutputText(part.text)

    def _item(self, part: Part, at: str) -> Any:
        """A call, a thought or a block of the provider's own; None: it is left out."""
        if isinstance(part, ToolCall):
            if part.cache is not None:
                self._losses.drop("cache")
            if part.custom:
                return shapes.CustomCall("custom_tool_call", part.id, part.name, part.arguments)
            return shapes.FunctionCall("function_call", part.id, part.name, part.arguments or _NO_ARGUMENTS)
        if isinstance(part, Reasoning):
            return self._thought(part)
        if isinstance(part, Opaque) and part.dialect == "openai_responses":
            return part.raw
        raise Inexpressible(at, f"a {type(part).__name__} cannot stand in an assistant's message")

    def _thought(self, part: Reasoning) -> dict[str, Any] | None:
        seal = part.seal
        if seal is not None and seal.home == self._home and seal.kind == "encrypted":
            self.sealed = True
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            item: dict[str, Any] = {"type": "reasoning", "summary": summary, "encrypted_content": seal.data}
            return item if seal.id is None else {"type": "reasoning", "id": seal.id} | item
        if part.text:
            self._losses.drop("reasoning.text")
        if seal is not None:
            self._losses.drop("reasoning.seal")
        return None

    def _result(self, result: Part, at: str) -> None:
        if not isinstance(result, ToolResult):
            raise Inexpressible(at, "may hold only tool results here")
        if result.is_error is not None:
            self._losses.drop("tool_result.is_error")
        if result.cache is not None:
            self._losses.drop("cache")
        parts = [self._asked(part, at) for part in result.content]
        output: Any = parts
        if not parts:
            output = ""
        elif len(parts) == 1 and isinstance(parts[0], shapes.InputText) and parts[0].prompt_cache_breakpoint is None:
            output = parts[0].text
        kind: Any = "custom_tool_call_output" if result.custom else "function_call_output"
        self.items.append(shapes.CallOutput(kind, result.call_id, output))

    def _cache(self, cache: Cache | None) -> shapes.Breakpoint | None:
        if cache is None:
            return None
        if "cache_breakpoints" not in self._quirks:
            self._losses.drop("cache")
            return None
        return shapes.Breakpoint("explicit", "12h" if (cache.ttl_s or 0) > 3600 else None)

    def _asked(self, part: Part, at: str) -> shapes.OutputPart:
        if isinstance(part, Text):
            if part.citations:
                self._losses.drop("text.citations")
            return shapes.InputText(part.text, self._cache(part.cache))
        if isinstance(part, Image):
            return self._image(part, at)
        if isinstance(part, File):
            return self._file(part, at)
        raise Inexpressible(at, f"a {type(part).__name__} cannot stand in a user's message")

    def _image(self, image: Image, at: str) -> shapes.InputImage:
        source, cache = image.source, self._cache(image.cache)
        if isinstance(source, Uploaded):
            self._own(source, at)
            return shapes.InputImage(None, source.id, image.detail, cache)
        url = source.url if isinstance(source, Url) else f"data:{source.media_type};base64,{source.data}"
        return shapes.InputImage(url, None, image.detail, cache)

    def _file(self, file: File, at: str) -> shapes.InputFile:
        source, cache = file.source, self._cache(file.cache)
        if file.context is not None or file.citations:
            raise Inexpressible(at, "a document's context and citations cannot be said here")
        told = shapes.InputFile(filename=file.name, prompt_cache_breakpoint=cache)
        if isinstance(source, Uploaded):
            self._own(source, at)
            told.file_id = source.id
        elif isinstance(source, Url):
            told.file_url = source.url
        elif isinstance(source, PlainText):
            told.file_data = "data:text/plain;base64," + base64.b64encode(source.text.encode()).decode()
        else:
            told.file_data = f"data:{source.media_type};base64,{source.data}"
        return told

    def _own(self, source: Uploaded, at: str) -> None:
        if source.home != self._home:
            raise Inexpressible(at, "an uploaded file is known only to the provider that has it: send the file")


def _tools(tools: tuple[AnyTool, ...], losses: Losses) -> list[Any]:
    written: list[Any] = []
    for number, tool in enumerate(tools):
        if isinstance(tool, Tool):
            if tool.cache is not None:
                losses.drop("cache")
            schema = _NO_SCHEMA if tool.schema is None else tool.schema
            told = shapes.FunctionTool("function", tool.name, tool.description, schema, bool(tool.strict))
            written.append(told)
        elif isinstance(tool, CustomTool):
            form = UNSET if tool.format is None else tool.format
            written.append(shapes.CustomTool("custom", tool.name, tool.description, form))
        elif isinstance(tool, WebSearch):
            written.append(_search(tool, f"tools[{number}]", losses))
        elif tool.dialect == "openai_responses":
            written.append(tool.raw)
        else:
            raise Inexpressible(f"tools[{number}]", f"a {tool.kind} tool is run by its own provider only")
    return written


def _search(tool: WebSearch, at: str, losses: Losses) -> shapes.WebSearchTool:
    if tool.most_uses is not None:
        losses.drop("web_search.most_uses", f"{at}.max_uses")
    if tool.blocked_domains is not None:
        losses.drop("web_search.blocked_domains", f"{at}.blocked_domains")
    return shapes.WebSearchTool(
        shapes.WEB_SEARCH,
        None if tool.allowed_domains is None else shapes.Filters(list(tool.allowed_domains)),
        tool.context,
        None if tool.location is None else shapes.Location("approximate", **tool.location),
    )


def _choice(conversation: Conversation) -> Any:
    choice = conversation.tool_choice
    if choice is None:
        return None
    custom = {tool.name for tool in conversation.tools if isinstance(tool, CustomTool)}
    named = [shapes.Choose("custom" if name in custom else "function", name) for name in choice.names]
    if choice.kind == "named":
        return named[0]
    if choice.kind in ("allowed", "allowed_required"):
        mode: Any = "auto" if choice.kind == "allowed" else "required"
        return shapes.Choose("allowed_tools", mode=mode, tools=named)
    return choice.kind


def _output(output: OutputFormat | None) -> shapes.Format | None:
    if output is None:
        return None
    if output.kind != "json_schema":
        return shapes.Format(output.kind)
    schema = UNSET if output.schema is None else output.schema
    return shapes.Format("json_schema", output.name or UNNAMED, output.description, schema, output.strict)


def _reasoning(conversation: Conversation, losses: Losses) -> shapes.Reasoning | None:
    thinking = conversation.thinking
    if thinking is None:
        return None
    if thinking.show == "omitted":
        losses.drop("thinking.show")
    effort = effort_of(msgspec.structs.replace(thinking, show=None), losses)
    told = shapes.Reasoning(effort, "auto" if thinking.show == "summary" else None)
    return None if told == shapes.Reasoning() else told
