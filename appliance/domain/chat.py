"""A request in no dialect: what the caller asks, so that any dialect can say it. The rule: nothing is guessed or lost.

Every field that a caller left out is None or empty. JSON that we only carry (schemas, metadata) is `msgspec.Raw` and
tool arguments are JSON text, so that key order and bytes survive: a provider's prompt cache looks at bytes. What only
one dialect knows travels in `extras`, `Opaque` or `NativeTool`, and the writer of another dialect refuses it, or drops
it where the table of `wire/translation/drops.py` says that this is harmless.
"""

from typing import Literal

import msgspec

DialectName = Literal["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate", "gemini_interactions"]
Role = Literal["system", "developer", "user", "assistant", "tool"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Cache(msgspec.Struct, frozen=True):
    """A breakpoint: the prompt up to and including the part that carries it is worth caching. None: usual lifetime."""

    ttl_s: int | None = None


class Url(msgspec.Struct, frozen=True):
    """Content that the provider fetches."""

    url: str


class Inline(msgspec.Struct, frozen=True):
    """Content in the request: base64 as the caller wrote it, never decoded."""

    media_type: str
    data: str


class PlainText(msgspec.Struct, frozen=True):
    """A document that is text."""

    text: str


class Uploaded(msgspec.Struct, frozen=True):
    """A file at a provider: its id means nothing to another (`home` is the provider's family)."""

    home: str
    id: str


class TokenLogprob(msgspec.Struct, frozen=True):
    """The log-probability of one token, and of those that were likely instead. `octets`: its UTF-8, if told."""

    token: str
    logprob: float
    octets: tuple[int, ...] | None = None
    top: tuple["TokenLogprob", ...] = ()


class Opaque(msgspec.Struct, frozen=True):
    """A block that only one dialect knows (a server tool's call or result), as it stood on the wire."""

    dialect: DialectName
    kind: str
    raw: msgspec.Raw


class Citation(msgspec.Struct, frozen=True):
    """What a text relies on. `start` and `end` count characters of its part. `native`: as its dialect wrote it."""

    url: str | None = None
    title: str | None = None
    quote: str | None = None
    start: int | None = None
    end: int | None = None
    native: Opaque | None = None


class Text(msgspec.Struct, frozen=True):
    """Words of either side."""

    text: str
    cache: Cache | None = None
    citations: tuple[Citation, ...] = ()
    logprobs: tuple[TokenLogprob, ...] | None = None


class Image(msgspec.Struct, frozen=True):
    """A picture. `detail` is the caller's word for its resolution."""

    source: Url | Inline | Uploaded
    detail: str | None = None
    cache: Cache | None = None


class File(msgspec.Struct, frozen=True):
    """A document, usually PDF. `context`: words about it; `citations`: whether the answer shall cite it."""

    source: Url | Inline | PlainText | Uploaded
    name: str | None = None
    context: str | None = None
    citations: bool | None = None
    cache: Cache | None = None


class Seal(msgspec.Struct, frozen=True):
    """A provider's signature over its reasoning: opaque, and worth something only to `home`, the family that made it.

    | kind | what it is |
    |---|---|
    | `signature` | signs the text beside it (Anthropic `thinking`) |
    | `redacted` | stands for text that is not shown (Anthropic `redacted_thinking`) |
    | `encrypted` | the reasoning itself, encrypted (OpenAI `encrypted_content`); `id` is the item's |
    | `part` | signs the part that follows (Gemini `thoughtSignature`); `id` is the call's, if that part is a call |
    """

    home: str
    data: str
    kind: Literal["signature", "redacted", "encrypted", "part"] = "signature"
    id: str | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """What a model thought before it spoke; the text may be empty and the seal all there is."""

    text: str = ""
    seal: Seal | None = None


class Refusal(msgspec.Struct, frozen=True):
    """The model's words that it will not answer."""

    text: str


class ToolCall(msgspec.Struct, frozen=True):
    """The model calls a tool. `arguments` is JSON text as the model wrote it; of a custom tool it is free text."""

    id: str
    name: str
    arguments: str
    custom: bool = False
    cache: Cache | None = None


class ToolResult(msgspec.Struct, frozen=True):
    """What a tool gave back. `is_error` is None where the dialect has no such flag."""

    call_id: str
    content: tuple[Text | Image | File, ...]
    is_error: bool | None = None
    custom: bool = False
    cache: Cache | None = None


Part = Text | Image | File | Reasoning | Refusal | ToolCall | ToolResult | Opaque


class Turn(msgspec.Struct, frozen=True):
    """One speaker's parts in order. A `tool` turn holds all results that came together, and nothing else."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may call; `schema` is the JSON schema of its arguments."""

    name: str
    description: str | None = None
    schema: msgspec.Raw | None = None
    strict: bool | None = None
    cache: Cache | None = None


class CustomTool(msgspec.Struct, frozen=True):
    """A tool that takes free text; `format` is its grammar as OpenAI writes it."""

    name: str
    description: str | None = None
    format: msgspec.Raw | None = None


class WebSearch(msgspec.Struct, frozen=True):
    """The provider's own web search. `location` is `{"city", "country", "region", "timezone"}`, all optional."""

    context: Literal["low", "medium", "high"] | None = None
    allowed_domains: tuple[str, ...] | None = None
    blocked_domains: tuple[str, ...] | None = None
    most_uses: int | None = None
    location: dict[str, str] | None = None


class NativeTool(msgspec.Struct, frozen=True):
    """A tool that only one provider runs, as it stood on the wire."""

    dialect: DialectName
    kind: str
    raw: msgspec.Raw


AnyTool = Tool | CustomTool | WebSearch | NativeTool


class ToolChoice(msgspec.Struct, frozen=True):
    """`named` takes one name; `allowed` and `allowed_required` take the names that may be called."""

    kind: Literal["none", "auto", "required", "named", "allowed", "allowed_required"]
    names: tuple[str, ...] = ()


class OutputFormat(msgspec.Struct, frozen=True):
    """Structured output. `json_schema` has a schema; the rest only where the dialect has them."""

    kind: Literal["text", "json_object", "json_schema"]
    schema: msgspec.Raw | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Thinking(msgspec.Struct, frozen=True):
    """How much the model shall think. `on`: True adaptive, False not at all, None not said (an effort alone).

    `budget_tokens` bounds it exactly; `show` says whether its text is wanted (`summary`) or not (`omitted`).
    """

    on: bool | None = None
    effort: Effort | None = None
    budget_tokens: int | None = None
    show: Literal["summary", "omitted"] | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One request for an answer, as read from `dialect`. The tier is not here: routing reads it before translation.

    `extras` holds top-level (and, as `tools[].x`, nested) fields of the source that have no place here.
    """

    dialect: DialectName
    model: str
    turns: tuple[Turn, ...]
    tools: tuple[AnyTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    output: OutputFormat | None = None
    thinking: Thinking | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    n: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool | None = None
    top_logprobs: int | None = None
    user: str | None = None
    metadata: msgspec.Raw | None = None
    cache_key: str | None = None
    cache: Cache | None = None
    store: bool | None = None
    stream: bool = False
    include_usage: bool = False
    extras: dict[str, msgspec.Raw] = {}
