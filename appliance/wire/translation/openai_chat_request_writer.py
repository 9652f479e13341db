"""Chat Completions requests written. The rule: the same conversation gives the same bytes; losses go by the table."""

import base64
from typing import Literal

import msgspec
from msgspec import UNSET

from appliance.domain.chat import (
    Cache,
    Conversation,
    CustomTool,
    Effort,
    File,
    Image,
    OutputFormat,
    PlainText,
    Reasoning,
    Refusal,
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
from appliance.wire.translation.codec import UNNAMED, UNNAMED_FILES, Target, Written
from appliance.wire.translation.drops import Inexpressible, Losses
from appliance.wire.translation.openai_chat_reasoning import details_of

_ENCODER = msgspec.json.Encoder()
_NO_ARGUMENTS = "{}"


def write_request(conversation: Conversation, target: Target) -> Written:
    """The body to send to `target`. Raises Inexpressible."""
    losses = Losses("openai_chat")
    losses.look_over(conversation)
    quirks = target.quirks
    writer = _Messages(target, losses)
    for number, turn in enumerate(conversation.turns):
        writer.add(turn, number)
    if conversation.cache is not None:
        losses.drop("cache")
    if conversation.top_k is not None and "top_k" not in quirks:
        losses.drop("top_k")
    if conversation.metadata is not None and not conversation.store:
        losses.drop("metadata")
    if conversation.store:
        losses.drop("store")
    elif conversation.store is not None:
        losses.drop("store=false")
    limit = conversation.max_output_tokens
    options = None
    if target.stream and "no_stream_options" not in quirks:
        options = shapes.StreamOptions(include_usage=True)
    request = shapes.Request(
        model=target.model,
        messages=writer.messages,
        tools=_tools(conversation, losses) or None,
        tool_choice=_choice(conversation.tool_choice, conversation),
        parallel_tool_calls=conversation.parallel_tool_calls,
        response_format=_output(conversation.output),
        reasoning_effort=effort_of(conversation.thinking, losses),
        verbosity=conversation.verbosity,
        max_completion_tokens=None if "max_tokens" in quirks else limit,
        max_tokens=limit if "max_tokens" in quirks else None,
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        top_k=conversation.top_k,
        frequency_penalty=conversation.frequency_penalty,
        presence_penalty=conversation.presence_penalty,
        seed=conversation.seed,
        stop=list(conversation.stop) or None,
        logprobs=conversation.logprobs,
        top_logprobs=conversation.top_logprobs,
        web_search_options=_web_search(conversation, losses),
        user=conversation.user,
        prompt_cache_key=conversation.cache_key,
        service_tier=target.tier,
        stream=True if target.stream else None,
        stream_options=options,
    )
    return Written(_ENCODER.encode(request), losses.fields)


_SAYS_NOTHING = shapes.AssistantMessage()


class _Messages:
    """Turns become messages."""

    def __init__(self, target: Target, losses: Losses) -> None:
        self.messages: list[shapes.Message] = []
        self._quirks = target.quirks
        self._home = target.home
        self._losses = losses

    def add(self, turn: Turn, number: int) -> None:
        at = f"messages[{number}]"
        if turn.role == "assistant":
            message = self._assistant(turn, at)
            if message != _SAYS_NOTHING:  # OpenAI refuses a message without anything
                self.messages.append(message)
        elif turn.role == "tool":
            self._results(turn, at)
        elif turn.role == "user":
            parts = [self._user_part(part, at) for part in turn.parts]
            content: shapes.UserParts = list(parts)
            if len(parts) == 1 and isinstance(parts[0], shapes.TextPart) and parts[0].prompt_cache_breakpoint is None:
                content = parts[0].text
            self.messages.append(shapes.UserMessage(content, turn.name))
        elif turn.role == "system" or "no_developer" in self._quirks:
            if turn.role == "developer":
                self._losses.drop("role=developer", at)
            self.messages.append(shapes.SystemMessage(self._texts(turn.parts, at), turn.name))
        else:
            self.messages.append(shapes.DeveloperMessage(self._texts(turn.parts, at), turn.name))

    def _cache(self, cache: Cache | None) -> shapes.Breakpoint | None:
        if cache is None:
            return None
        if "cache_breakpoints" not in self._quirks:
            self._losses.drop("cache")
            return None
        return shapes.Breakpoint("explicit", "12h" if (cache.ttl_s or 0) > 3600 else None)

    def _text(self, part: Text) -> shapes.TextPart:
        if part.citations:
            self._losses.drop("text.citations")
        return shapes.TextPart(part.text, self._cache(part.cache))

    def _texts(self, parts: tuple[object, ...], at: str) -> shapes.TextParts:
        written = []
        for part in parts:
            if not isinstance(part, Text):
                raise Inexpressible(at, "may hold only text here")
            written.append(self._text(part))
        if len(written) == 1 and written[0].prompt_cache_breakpoint is None:
            return written[0].text
        return written

    def _user_part(self, part: object, at: str) -> shapes.TextPart | shapes.ImagePart | shapes.FilePart:
        if isinstance(part, Text):
            return self._text(part)
        if isinstance(part, Image):
            return self._image(part, at)
        if isinstance(part, File):
            return self._file(part, at)
        raise Inexpressible(at, f"a {type(part).__name__} cannot stand in a user's message")

    def _image(self, image: Image, at: str) -> shapes.ImagePart:
        source = image.source
        if isinstance(source, Uploaded):
            raise Inexpressible(at, "an uploaded image cannot be named here: send it, or its URL")
        url = source.url if isinstance(source, Url) else f"data:{source.media_type};base64,{source.data}"
        return shapes.ImagePart(shapes.ImageUrl(url, image.detail), self._cache(image.cache))

    def _file(self, file: File, at: str) -> shapes.FilePart:
        source = file.source
        if file.context is not None or file.citations:
            raise Inexpressible(at, "a document's context and citations cannot be said here")
        if file.citations is not None:
            self._losses.drop("file.citations=false")
        if isinstance(source, Uploaded):
            if source.home != self._home:
                raise Inexpressible(at, "an uploaded file is known only to the provider that has it: send the file")
            told = shapes.FileFile(file_id=source.id, filename=file.name)
        elif isinstance(source, Url):
            raise Inexpressible(at, "a document's URL cannot be said here: send the document")
        elif isinstance(source, PlainText):
            data = base64.b64encode(source.text.encode()).decode()
            name = file.name or UNNAMED_FILES["text/plain"]
            told = shapes.FileFile(file_data=f"data:text/plain;base64,{data}", filename=name)
        else:
            name = file.name or UNNAMED_FILES.get(source.media_type, "document")
            told = shapes.FileFile(file_data=f"data:{source.media_type};base64,{source.data}", filename=name)
        return shapes.FilePart(told, self._cache(file.cache))

    def _results(self, turn: Turn, at: str) -> None:
        pictures: list[shapes.TextPart | shapes.ImagePart | shapes.FilePart] = []
        for result in turn.parts:
            if not isinstance(result, ToolResult):
                raise Inexpressible(at, "may hold only tool results here")
            if result.is_error is not None:
                self._losses.drop("tool_result.is_error")
            if result.cache is not None:
                self._losses.drop("cache")
            texts = tuple(part for part in result.content if isinstance(part, Text))
            others = [part for part in result.content if not isinstance(part, Text)]
            self.messages.append(shapes.ToolMessage(result.call_id, self._texts(texts, at) if texts else ""))
            if others:
                self._losses.drop("tool_result.image", at)
                pictures.append(shapes.TextPart(f"Of the result of tool call {result.call_id}:"))
                pictures += [self._user_part(part, at) for part in others]
        if pictures:
            self.messages.append(shapes.UserMessage(pictures))

    def _assistant(self, turn: Turn, at: str) -> shapes.AssistantMessage:
        texts: list[shapes.TextPart | shapes.RefusalPart] = []
        calls: list[shapes.FunctionCall | shapes.CustomCall] = []
        thought: list[Reasoning] = []
        refusal: list[str] = []
        for part in turn.parts:
            if isinstance(part, Text):
                texts.append(self._text(part))
                if refusal:
                    self._losses.drop("parts.order", at)
            elif isinstance(part, ToolCall):
                calls.append(self._call(part))
                continue
            elif isinstance(part, Reasoning):
                thought.append(part)
                if part.seal is not None and part.seal.kind == "part":
                    continue
                if not texts:
                    continue
            elif isinstance(part, Refusal):
                refusal.append(part.text)
            else:
                raise Inexpressible(at, f"a {type(part).__name__} cannot stand in an assistant's message")
            if calls or isinstance(part, Reasoning):
                self._losses.drop("parts.order", at)
        message = shapes.AssistantMessage(
            refusal="".join(refusal) or None, tool_calls=calls or None, name=turn.name, content=list(texts) or None
        )
        if len(texts) == 1 and isinstance(texts[0], shapes.TextPart) and texts[0].prompt_cache_breakpoint is None:
            message.content = texts[0].text
        self._think(message, thought)
        return message

    def _think(self, message: shapes.AssistantMessage, thought: list[Reasoning]) -> None:
        if "reasoning_details" in self._quirks:
            message.reasoning_details = [
                msgspec.convert(entry, shapes.ReasoningDetail)
                for index, block in enumerate(thought)
                for entry in details_of(block, index)
            ] or None
            return
        words = "".join(block.text for block in thought)
        if words and "reasoning_content" in self._quirks:
            message.reasoning_content = words
        elif words:
            self._losses.drop("reasoning.text")
        if any(block.seal is not None for block in thought):
            self._losses.drop("reasoning.seal")

    def _call(self, call: ToolCall) -> shapes.FunctionCall | shapes.CustomCall:
        if call.cache is not None:
            self._losses.drop("cache")
        if call.custom:
            return shapes.CustomCall(call.id, shapes.CalledCustom(call.name, call.arguments))
        return shapes.FunctionCall(call.id, shapes.CalledFunction(call.name, call.arguments or _NO_ARGUMENTS))


def _tools(conversation: Conversation, losses: Losses) -> list[shapes.FunctionTool | shapes.CustomTool]:
    written: list[shapes.FunctionTool | shapes.CustomTool] = []
    for number, tool in enumerate(conversation.tools):
        if isinstance(tool, Tool):
            if tool.cache is not None:
                losses.drop("cache")
            schema = UNSET if tool.schema is None else tool.schema
            written.append(
                shapes.FunctionTool(shapes.FunctionDefinition(tool.name, tool.description, schema, tool.strict))
            )
        elif isinstance(tool, CustomTool):
            form = UNSET if tool.format is None else tool.format
            written.append(shapes.CustomTool(shapes.CustomDefinition(tool.name, tool.description, form)))
        elif not isinstance(tool, WebSearch):
            raise Inexpressible(f"tools[{number}]", f"a {tool.kind} tool is run by its own provider only")
    return written


def _web_search(conversation: Conversation, losses: Losses) -> shapes.WebSearchOptions | None:
    options: shapes.WebSearchOptions | None = None
    for number, tool in enumerate(conversation.tools):
        if not isinstance(tool, WebSearch):
            continue
        at = f"tools[{number}]"
        if options is not None:
            raise Inexpressible(at, "a second web search cannot be said here")
        if tool.allowed_domains is not None or tool.blocked_domains is not None:
            raise Inexpressible(at, "domains of a web search cannot be said here")
        if tool.most_uses is not None:
            losses.drop("web_search.most_uses", f"{at}.max_uses")
        place = None if tool.location is None else shapes.Location(shapes.Place(**tool.location), "approximate")
        options = shapes.WebSearchOptions(tool.context, place)
    return options


def _choice(choice: ToolChoice | None, conversation: Conversation) -> shapes.Choice | None:
    if choice is None:
        return None
    custom = {tool.name for tool in conversation.tools if isinstance(tool, CustomTool)}
    if choice.kind == "named":
        name = choice.names[0]
        if name in custom:
            return shapes.ChooseCustom(shapes.Named(name))
        return shapes.ChooseFunction(shapes.Named(name))
    if choice.kind in ("allowed", "allowed_required"):
        mode: Literal["auto", "required"] = "auto" if choice.kind == "allowed" else "required"
        tools = [
            shapes.AllowedTool("custom", custom=shapes.Named(name))
            if name in custom
            else shapes.AllowedTool("function", shapes.Named(name))
            for name in choice.names
        ]
        return shapes.ChooseAllowed(shapes.AllowedTools(mode, tools))
    return choice.kind  # type: ignore[return-value]  # the three words are left


def _output(output: OutputFormat | None) -> shapes.Format | None:
    if output is None:
        return None
    if output.kind == "text":
        return shapes.TextFormat()
    if output.kind == "json_object":
        return shapes.JsonFormat()
    schema = UNSET if output.schema is None else output.schema
    return shapes.SchemaFormat(
        shapes.SchemaDefinition(output.name or UNNAMED, output.description, schema, output.strict)
    )


def effort_of(thinking: Thinking | None, losses: Losses) -> Effort | None:
    """The effort that says `thinking` in an OpenAI dialect; a budget becomes the effort that comes near it."""
    if thinking is None:
        return None
    if thinking.show is not None:
        losses.drop("thinking.show")
    if thinking.on is False:
        return "none"
    if thinking.effort is not None:
        if thinking.budget_tokens is not None:
            losses.drop("thinking.budget_tokens")
        return thinking.effort
    if thinking.budget_tokens is not None:
        losses.drop("thinking.budget_tokens")
        return "low" if thinking.budget_tokens <= 2048 else "medium" if thinking.budget_tokens <= 16384 else "high"
    if thinking.on:
        losses.drop("thinking.on")
    return None
