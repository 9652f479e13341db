"""What a Messages request looks like: msgspec shapes. The rule: a nested field without a shape is refused.

Blocks and tools have too many kinds for one union: each is read by its `type`, from the tables at the end.
Source: the official SDK's `types/message_create_params.py` and the block, tool and source params beside it.
"""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

Effort = Literal["low", "medium", "high", "xhigh", "max"]


class Shape(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What all shapes share: nothing unknown, and defaults are not written. JSON that we only carry is Raw or UNSET."""


class CacheControl(Shape, tag_field="type", tag="ephemeral"):
    """A breakpoint: five minutes unless said."""

    lifetime: Literal["5m", "1h"] | None = msgspec.field(default=None, name="ttl")


class Base64Source(Shape, tag_field="type", tag="base64"):
    """Content in the request."""

    media_type: str
    data: str


class UrlSource(Shape, tag_field="type", tag="url"):
    """Content that the provider fetches."""

    url: str


class FileSource(Shape, tag_field="type", tag="file"):
    """An uploaded file."""

    file_id: str


class TextSource(Shape, tag_field="type", tag="text"):
    """A document that is text."""

    data: str
    media_type: Literal["text/plain"]


class Citations(Shape):
    """Whether a document shall be cited."""

    enabled: bool | None = None


class Caller(msgspec.Struct):
    """Who called a tool: `direct`, the model itself, or a server tool."""

    type: str


class TextBlock(Shape, tag_field="type", tag="text"):
    """Words."""

    text: str
    cache_control: CacheControl | None = None
    citations: list[Raw] | None = None


class ImageBlock(Shape, tag_field="type", tag="image"):
    """A picture."""

    source: Base64Source | UrlSource | FileSource
    cache_control: CacheControl | None = None


class DocumentBlock(Shape, tag_field="type", tag="document"):
    """A document."""

    source: Base64Source | UrlSource | FileSource | TextSource
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None
    cache_control: CacheControl | None = None


class ThinkingBlock(Shape, tag_field="type", tag="thinking"):
    """Signed reasoning."""

    thinking: str
    signature: str = ""


class RedactedBlock(Shape, tag_field="type", tag="redacted_thinking"):
    """Reasoning that is not shown."""

    data: str


class ToolUseBlock(Shape, tag_field="type", tag="tool_use"):
    """A call; `input` is an object."""

    id: str
    name: str
    input: Raw
    cache_control: CacheControl | None = None
    caller: Caller | None = None


class ToolResultBlock(Shape, tag_field="type", tag="tool_result"):
    """A call's result."""

    tool_use_id: str
    content: str | list[Raw] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


Block = TextBlock | ImageBlock | DocumentBlock | ThinkingBlock | RedactedBlock | ToolUseBlock | ToolResultBlock


class Message(Shape):
    """One speaker's blocks; each is decoded on its own."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Raw]


class Tool(Shape):
    """A function; `type` is absent, null or `custom`."""

    name: str
    input_schema: Raw
    description: str | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    type: Literal["custom"] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: Raw | UnsetType = UNSET
    allowed_callers: list[str] | None = None


class Place(Shape, tag_field="type", tag="approximate"):
    """About where the user is."""

    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class WebSearchTool(Shape):
    """The provider's web search, in any of its versions."""

    type: str
    name: Literal["web_search"] = "web_search"
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    max_uses: int | None = None
    user_location: Place | None = None
    cache_control: CacheControl | None = None


class ChooseAuto(Shape, tag_field="type", tag="auto"):
    """The model decides."""

    disable_parallel_tool_use: bool | None = None


class ChooseAny(Shape, tag_field="type", tag="any"):
    """Some tool must be called."""

    disable_parallel_tool_use: bool | None = None


class ChooseTool(Shape, tag_field="type", tag="tool"):
    """That tool must be called."""

    name: str
    disable_parallel_tool_use: bool | None = None


class ChooseNone(Shape, tag_field="type", tag="none"):
    """No tool may be called."""


Choice = ChooseAuto | ChooseAny | ChooseTool | ChooseNone


class ThinkingEnabled(Shape, tag_field="type", tag="enabled"):
    """Thinking within a budget."""

    budget_tokens: int
    display: Literal["summarized", "omitted"] | None = None


class ThinkingAdaptive(Shape, tag_field="type", tag="adaptive"):
    """Thinking as the model sees fit."""

    display: Literal["summarized", "omitted"] | None = None


class ThinkingDisabled(Shape, tag_field="type", tag="disabled"):
    """No thinking."""


class SchemaFormat(Shape, tag_field="type", tag="json_schema"):
    """JSON by a schema."""

    schema: Raw


class OutputConfig(Shape):
    """Effort and form of the answer."""

    effort: Effort | None = None
    format: SchemaFormat | None = None


class Metadata(Shape):
    """The end user."""

    user_id: str | None = None


class Request(msgspec.Struct, omit_defaults=True):
    """The body; what is not named here becomes an extra."""

    model: str
    max_tokens: int
    messages: list[Message]
    system: str | list[TextBlock] | None = None
    tools: list[Raw] | None = None
    tool_choice: Choice | None = None
    thinking: ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | None = None
    output_config: OutputConfig | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: Metadata | None = None
    cache_control: CacheControl | None = None
    service_tier: str | None = None
    stream: bool | None = None


class Kind(msgspec.Struct, gc=False):
    """What a block or tool is."""

    type: str | None = None


KIND: Final = msgspec.json.Decoder(Kind)
BLOCKS: Final[dict[str | None, "msgspec.json.Decoder[Block]"]] = {
    "text": msgspec.json.Decoder(TextBlock),
    "image": msgspec.json.Decoder(ImageBlock),
    "document": msgspec.json.Decoder(DocumentBlock),
    "thinking": msgspec.json.Decoder(ThinkingBlock),
    "redacted_thinking": msgspec.json.Decoder(RedactedBlock),
    "tool_use": msgspec.json.Decoder(ToolUseBlock),
    "tool_result": msgspec.json.Decoder(ToolResultBlock),
}
NATIVE_BLOCKS: Final = frozenset(
    "server_tool_use web_search_tool_result web_fetch_tool_result code_execution_tool_result "
    "bash_code_execution_tool_result text_editor_code_execution_tool_result tool_search_tool_result container_upload "
    "search_result mcp_tool_use mcp_tool_result compaction".split()
)
"""Blocks that no other dialect has."""
