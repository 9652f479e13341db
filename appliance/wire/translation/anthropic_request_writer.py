"""Messages requests written. The rule: the same conversation gives the same bytes; losses go by the table.

Instructions that open the conversation become `system`, later ones messages of that role. A turn of results and the
user's turn after it are one message, as the provider wants them. An empty text is left out.
"""

import base64
import re
from typing import Final

import msgspec

from appliance.domain.chat import (
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
from appliance.wire.translation import anthropic_shapes as shapes
from appliance.wire.translation.call_arguments import arguments
from appliance.wire.translation.codec import Target, Written
from appliance.wire.translation.drops import Inexpressible, Losses

_ENCODER = msgspec.json.Encoder()
_NO_SCHEMA: Final = msgspec.Raw(b'{"type":"object","properties":{}}')
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")
_WEB_SEARCH: Final = "web_search_20250305"
_BUDGETS: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_000, "max": 64_000}
_LEAST_BUDGET = 1024


def write_request(conversation: Conversation, target: Target) -> Written:
    """The body to send to `target`. Raises Inexpressible."""
    losses = Losses("anthropic_messages")
    losses.look_over(conversation)
    _look_over(conversation, losses)
    messages = _Messages(target, losses)
    for number, turn in enumerate(conversation.turns):
        messages.add(turn, f"messages[{number}]")
    most = target.most_output_tokens if conversation.max_output_tokens is None else conversation.max_output_tokens
    thinking, effort = _thinking(conversation.thinking, target, most, losses)
    form = _output(conversation.output, losses)
    request = shapes.Request(
        model=target.model,
        max_tokens=most,
        messages=messages.messages,
        system=messages.system(),
        tools=_tools(conversation, losses) or None,
        tool_choice=_choice(conversation, losses),
        thinking=thinking,
        output_config=None if form is None and effort is None else shapes.OutputConfig(effort, form),
        stop_sequences=list(conversation.stop) or None,
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        top_k=conversation.top_k,
        metadata=None if conversation.user is None else shapes.Metadata(conversation.user),
        cache_control=_cache(conversation.cache),
        service_tier=target.tier,
        stream=True if target.stream else None,
    )
    return Written(_ENCODER.encode(request), losses.fields)


def _look_over(conversation: Conversation, losses: Losses) -> None:
    """What Messages has no field for."""
    for field in ("seed", "metadata", "cache_key", "verbosity"):
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
    if conversation.temperature is not None and conversation.temperature > 1:
        raise Inexpressible("temperature", "is at most 1 at this provider")


class _Messages:
    """Turns become messages."""

    def __init__(self, target: Target, losses: Losses) -> None:
        self.messages: list[shapes.Message] = []
        self._system: list[shapes.TextBlock] = []
        self._home = target.home
        self._losses = losses
        self._after_results = False

    def system(self) -> str | list[shapes.TextBlock] | None:
        if len(self._system) == 1 and self._system[0].cache_control is None:
            return self._system[0].text
        return self._system or None

    def add(self, turn: Turn, at: str) -> None:
        if turn.name is not None:
            raise Inexpressible(f"{at}.name", "a speaker's name cannot be said to this provider")
        if turn.role == "developer":
            self._losses.drop("role=developer", at)
        if turn.role in ("system", "developer"):
            self._instruct(turn, at)
            return
        blocks = [block for part in turn.parts if (block := self._block(part, turn, at)) is not None]
        if turn.role == "user" and self._after_results:
            before = self.messages[-1].content
            if isinstance(before, list):
                before += [_raw(block) for block in blocks]
        elif len(blocks) == 1 and isinstance(blocks[0], shapes.TextBlock) and blocks[0].cache_control is None:
            self.messages.append(shapes.Message("assistant" if turn.role == "assistant" else "user", blocks[0].text))
        elif blocks:
            role = "assistant" if turn.role == "assistant" else "user"
            self.messages.append(shapes.Message(role, [_raw(block) for block in blocks]))  # type: ignore[arg-type]
        self._after_results = turn.role == "tool"

    def _instruct(self, turn: Turn, at: str) -> None:
        blocks = []
        for part in turn.parts:
            if not isinstance(part, Text):
                raise Inexpressible(at, "instructions may hold only text")
            if part.text:
                blocks.append(self._text(part))
            else:
                self._losses.drop("text.empty")
        if not self.messages:
            self._system += blocks
        elif blocks:
            alone = blocks[0].text if len(blocks) == 1 and blocks[0].cache_control is None else None
            self.messages.append(shapes.Message("system", alone or [_raw(block) for block in blocks]))
            self._after_results = False

    def _block(self, part: Part, turn: Turn, at: str) -> shapes.Block | msgspec.Raw | None:
        if isinstance(part, Text):
            if part.text:
                return self._text(part)
            self._losses.drop("text.empty")
            return None
        if isinstance(part, ToolResult):
            return self._result(part, at)
        if turn.role == "tool":
            raise Inexpressible(at, "may hold only tool results here")
        if turn.role == "assistant":
            return self._said(part, at)
        if isinstance(part, Image | File):
            return self._attached(part, at)
        raise Inexpressible(at, f"a {type(part).__name__} cannot stand in a user's message")

    def _said(self, part: Part, at: str) -> shapes.Block | msgspec.Raw | None:
        if isinstance(part, ToolCall):
            if part.custom:
                raise Inexpressible(at, "a call of a tool with free text cannot be said to this provider")
            return shapes.ToolUseBlock(tool_id(part.id), part.name, arguments(part, at), _cache(part.cache))
        if isinstance(part, Reasoning):
            return self._thought(part)
        if isinstance(part, Refusal):
            self._losses.drop("refusal", at)
            return shapes.TextBlock(part.text) if part.text else None
        if isinstance(part, Opaque) and part.dialect == "anthropic_messages":
            return part.raw
        raise Inexpressible(at, f"a {type(part).__name__} cannot stand in an assistant's message")

    def _thought(self, part: Reasoning) -> shapes.Block | None:
        seal = part.seal
        if seal is not None and seal.home == self._home:
            if seal.kind == "signature":
                return shapes.ThinkingBlock(part.text, seal.data)
            if seal.kind == "redacted":
                if part.text:
                    self._losses.drop("reasoning.text")
                return shapes.RedactedBlock(seal.data)
        if part.text:
            self._losses.drop("reasoning.text")
        if seal is not None:
            self._losses.drop("reasoning.seal")
        return None

    def _text(self, part: Text) -> shapes.TextBlock:
        if part.citations:
            self._losses.drop("text.citations")
        return shapes.TextBlock(part.text, _cache(part.cache))

    def _attached(self, part: Image | File, at: str) -> shapes.ImageBlock | shapes.DocumentBlock:
        if isinstance(part, Image):
            if part.detail is not None:
                self._losses.drop("image.detail")
            return shapes.ImageBlock(self._source(part.source, at), _cache(part.cache))
        source: shapes.Base64Source | shapes.UrlSource | shapes.FileSource | shapes.TextSource
        if isinstance(part.source, PlainText):
            source = shapes.TextSource(part.source.text, "text/plain")
        elif isinstance(part.source, Inline) and part.source.media_type.startswith("text/"):
            source = shapes.TextSource(_decoded(part.source, at), "text/plain")
        else:
            source = self._source(part.source, at)
        citations = None if part.citations is None else shapes.Citations(part.citations)
        return shapes.DocumentBlock(source, part.name, part.context, citations, _cache(part.cache))

    def _source(self, source: object, at: str) -> shapes.Base64Source | shapes.UrlSource | shapes.FileSource:
        if isinstance(source, Inline):
            return shapes.Base64Source(source.media_type, source.data)
        if isinstance(source, Url):
            return shapes.UrlSource(source.url)
        if getattr(source, "home", None) != self._home:
            raise Inexpressible(at, "an uploaded file is known only to the provider that has it: send the file")
        return shapes.FileSource(source.id)  # type: ignore[attr-defined]  # what is left is Uploaded

    def _result(self, result: ToolResult, at: str) -> shapes.ToolResultBlock:
        content: str | list[msgspec.Raw] | None = None
        if len(result.content) == 1 and isinstance(only := result.content[0], Text) and only.cache is None:
            content = self._text(only).text
        elif result.content:
            content = [
                _raw(self._text(part) if isinstance(part, Text) else self._attached(part, at))
                for part in result.content
            ]
        return shapes.ToolResultBlock(tool_id(result.call_id), content, result.is_error, _cache(result.cache))


def _raw(block: shapes.Block | msgspec.Raw) -> msgspec.Raw:
    return block if isinstance(block, msgspec.Raw) else msgspec.Raw(_ENCODER.encode(block))


def tool_id(call_id: str) -> str:
    """An id as the provider takes them: letters, digits, `_` and `-`; another provider's odd characters are spelt."""
    return _NOT_IN_IDS.sub(lambda found: f"_{ord(found[0]):x}", call_id)


def _decoded(inline: Inline, at: str) -> str:
    try:
        return base64.b64decode(inline.data, validate=True).decode()
    except ValueError:
        raise Inexpressible(at, "the document is not text in UTF-8") from None


def _cache(cache: Cache | None) -> shapes.CacheControl | None:
    if cache is None:
        return None
    return shapes.CacheControl(None if cache.ttl_s is None else "5m" if cache.ttl_s <= 300 else "1h")


def _tools(conversation: Conversation, losses: Losses) -> list[msgspec.Raw]:
    written = []
    for number, tool in enumerate(conversation.tools):
        if isinstance(tool, Tool):
            schema = _NO_SCHEMA if tool.schema is None else tool.schema
            told = shapes.Tool(tool.name, schema, tool.description, tool.strict, _cache(tool.cache))
            written.append(msgspec.Raw(_ENCODER.encode(told)))
        elif isinstance(tool, WebSearch):
            if tool.context is not None:
                losses.drop("web_search.context")
            search = shapes.WebSearchTool(
                _WEB_SEARCH,
                allowed_domains=None if tool.allowed_domains is None else list(tool.allowed_domains),
                blocked_domains=None if tool.blocked_domains is None else list(tool.blocked_domains),
                max_uses=tool.most_uses,
                user_location=None if tool.location is None else shapes.Place(**tool.location),
            )
            named = {"type": _WEB_SEARCH, "name": "web_search"} | msgspec.to_builtins(search)
            written.append(msgspec.Raw(_ENCODER.encode(named)))
        elif isinstance(tool, NativeTool) and tool.dialect == "anthropic_messages":
            written.append(tool.raw)
        elif isinstance(tool, NativeTool):
            raise Inexpressible(f"tools[{number}]", f"a {tool.kind} tool is run by its own provider only")
        else:
            raise Inexpressible(f"tools[{number}]", "a tool that takes free text cannot be said to this provider")
    return written


def _choice(conversation: Conversation, losses: Losses) -> shapes.Choice | None:
    choice, parallel = conversation.tool_choice, conversation.parallel_tool_calls
    if not conversation.tools and (choice is None or choice.kind in ("auto", "none")):
        if choice is not None:
            losses.drop("tool_choice.without_tools")
        if parallel is not None:
            losses.drop(f"parallel_tool_calls={str(parallel).lower()}")
        return None
    single = None if parallel is None else not parallel
    if choice is None:
        if single:
            return shapes.ChooseAuto(disable_parallel_tool_use=True)
        if single is not None:
            losses.drop("parallel_tool_calls=true")
        return None
    if choice.kind == "auto":
        return shapes.ChooseAuto(single)
    if choice.kind == "required":
        return shapes.ChooseAny(single)
    if choice.kind == "named":
        return shapes.ChooseTool(choice.names[0], single)
    if choice.kind == "none":
        if parallel is not None:
            losses.drop(f"parallel_tool_calls={str(parallel).lower()}")
        return shapes.ChooseNone()
    raise Inexpressible("tool_choice", "a list of allowed tools cannot be said to this provider: send only those")


def _output(output: OutputFormat | None, losses: Losses) -> shapes.SchemaFormat | None:
    if output is None:
        return None
    if output.kind == "text":
        losses.drop("output=text")
        return None
    if output.kind == "json_object" or output.schema is None:
        raise Inexpressible("response_format", "this provider writes JSON only by a schema: send one")
    for field in ("name", "description", "strict"):
        if getattr(output, field) is not None:
            losses.drop(f"output.{field}")
    return shapes.SchemaFormat(output.schema)


_Thinking = shapes.ThinkingEnabled | shapes.ThinkingAdaptive | shapes.ThinkingDisabled


def _thinking(
    thinking: Thinking | None, target: Target, most: int, losses: Losses
) -> tuple[_Thinking | None, shapes.Effort | None]:
    """(`thinking`, the effort) as the provider wants them."""
    if thinking is None:
        return None, None
    show: dict[str | None, str | None] = {None: None, "summary": "summarized", "omitted": "omitted"}
    display = show[thinking.show]
    effort = thinking.effort
    if thinking.on is False:
        return shapes.ThinkingDisabled(), _effort(effort, losses)
    if thinking.budget_tokens is not None:
        enabled = shapes.ThinkingEnabled(thinking.budget_tokens, display)  # type: ignore[arg-type]  # one of its words
        return enabled, _effort(effort, losses)
    if "thinking_budget" in target.quirks:
        losses.drop("thinking.effort")
        budget = min(_BUDGETS.get(effort or "medium", _LEAST_BUDGET), most - 1)
        if budget < _LEAST_BUDGET:
            return None, None
        return shapes.ThinkingEnabled(budget, display), None  # type: ignore[arg-type]
    if thinking.on is None and thinking.show != "summary":  # whoever wants to see thoughts wants thoughts
        return None, _effort(effort, losses)
    return shapes.ThinkingAdaptive(display), _effort(effort, losses)  # type: ignore[arg-type]


def _effort(effort: str | None, losses: Losses) -> shapes.Effort | None:
    if effort is None or effort == "none":
        return None
    if effort == "minimal":
        losses.drop("thinking.effort=minimal")
        return "low"
    return effort  # type: ignore[return-value]  # the two that it lacks are gone
