"""What a Chat Completions request looks like: msgspec shapes. The rule: a nested field without a shape is refused.

Source: the official SDK's `types/chat/completion_create_params.py` and the message, part and tool params beside it;
`reasoning_content` is DeepSeek's and vLLM's, `reasoning_details` OpenRouter's, `extra_content` Google's.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from appliance.domain.chat import Effort


class Shape(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What all shapes share: nothing unknown, and defaults are not written. JSON that we only carry is Raw or UNSET."""


class Breakpoint(Shape):
    """`prompt_cache_breakpoint`: 30 minutes unless said."""

    mode: Literal["explicit"] | UnsetType = UNSET
    lifetime: Literal["30m", "12h"] | None = msgspec.field(default=None, name="ttl")


class CacheControl(Shape, tag_field="type", tag="ephemeral"):
    """A breakpoint as Anthropic writes it; gateways and their clients put it into chat's parts."""

    lifetime: Literal["5m", "1h"] | None = msgspec.field(default=None, name="ttl")


class TextPart(Shape, tag_field="type", tag="text"):
    """Words."""

    text: str
    prompt_cache_breakpoint: Breakpoint | None = None
    cache_control: CacheControl | None = None


class RefusalPart(Shape, tag_field="type", tag="refusal"):
    """A refusal among an assistant's parts."""

    refusal: str


class ImageUrl(Shape):
    """`url` may be a `data:` URL."""

    url: str
    detail: str | None = None


class ImagePart(Shape, tag_field="type", tag="image_url"):
    """A picture."""

    image_url: ImageUrl
    prompt_cache_breakpoint: Breakpoint | None = None
    cache_control: CacheControl | None = None


class FileFile(Shape):
    """`file_data` is a `data:` URL, or bare base64."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Shape, tag_field="type", tag="file"):
    """A document."""

    file: FileFile
    prompt_cache_breakpoint: Breakpoint | None = None
    cache_control: CacheControl | None = None


class CalledFunction(Shape):
    """The function of a call; `arguments` is JSON text."""

    name: str
    arguments: str
    parsed_arguments: Raw | UnsetType = UNSET  # what the SDK made of them


class CalledCustom(Shape):
    """The custom tool of a call; `input` is free text."""

    name: str
    input: str


class FunctionCall(Shape, tag_field="type", tag="function"):
    """A call of a function."""

    id: str
    function: CalledFunction
    index: int | None = None
    extra_content: Raw | UnsetType = UNSET


class CustomCall(Shape, tag_field="type", tag="custom"):
    """A call of a custom tool."""

    id: str
    custom: CalledCustom
    index: int | None = None


class ReasoningDetail(Shape):
    """One entry of `reasoning_details`; type `reasoning.text`, `reasoning.summary` or `reasoning.encrypted`."""

    type: str
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    id: str | None = None
    format: str | None = None
    index: int | None = None


UserParts = str | list[TextPart | ImagePart | FilePart]
TextParts = str | list[TextPart]


class SystemMessage(Shape, tag_field="role", tag="system"):
    """Instructions."""

    content: TextParts
    name: str | None = None


class DeveloperMessage(Shape, tag_field="role", tag="developer"):
    """Instructions, by their newer name."""

    content: TextParts
    name: str | None = None


class UserMessage(Shape, tag_field="role", tag="user"):
    """The caller's words."""

    content: UserParts
    name: str | None = None


class AssistantMessage(Shape, tag_field="role", tag="assistant"):
    """The model's words of an earlier turn, as the SDK gives them back."""

    content: str | list[TextPart | RefusalPart] | None = None
    refusal: str | None = None
    tool_calls: list[FunctionCall | CustomCall] | None = None
    name: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    annotations: list[Raw] | None = None
    audio: Raw | UnsetType = UNSET
    parsed: Raw | UnsetType = UNSET  # what the SDK made of the content
    function_call: Raw | UnsetType = UNSET


class ToolMessage(Shape, tag_field="role", tag="tool"):
    """A tool's result."""

    tool_call_id: str
    content: TextParts
    name: str | None = None


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


class FunctionDefinition(Shape):
    """A function that may be called."""

    name: str
    description: str | None = None
    parameters: Raw | UnsetType = UNSET
    strict: bool | None = None


class FunctionTool(Shape, tag_field="type", tag="function"):
    """A function as a tool."""

    function: FunctionDefinition
    cache_control: CacheControl | None = None


class CustomDefinition(Shape):
    """A tool that takes free text."""

    name: str
    description: str | None = None
    format: Raw | UnsetType = UNSET


class CustomTool(Shape, tag_field="type", tag="custom"):
    """A custom tool."""

    custom: CustomDefinition


class Named(Shape):
    """What a named choice names."""

    name: str


class ChooseFunction(Shape, tag_field="type", tag="function"):
    """That function must be called."""

    function: Named


class ChooseCustom(Shape, tag_field="type", tag="custom"):
    """That custom tool must be called."""

    custom: Named


class AllowedTool(Shape):
    """One tool of a list of allowed ones."""

    type: Literal["function", "custom"]
    function: Named | None = None
    custom: Named | None = None


class AllowedTools(Shape):
    """Which tools may, or one of which must, be called."""

    mode: Literal["auto", "required"]
    tools: list[AllowedTool]


class ChooseAllowed(Shape, tag_field="type", tag="allowed_tools"):
    """Only these tools count."""

    allowed_tools: AllowedTools


Choice = Literal["none", "auto", "required"] | ChooseFunction | ChooseCustom | ChooseAllowed


class TextFormat(Shape, tag_field="type", tag="text"):
    """Free text."""


class JsonFormat(Shape, tag_field="type", tag="json_object"):
    """Any JSON object."""


class SchemaDefinition(Shape):
    """A schema and its label."""

    name: str
    description: str | None = None
    schema: Raw | UnsetType = UNSET
    strict: bool | None = None


class SchemaFormat(Shape, tag_field="type", tag="json_schema"):
    """JSON by a schema."""

    json_schema: SchemaDefinition


Format = TextFormat | JsonFormat | SchemaFormat


class Place(Shape):
    """About where the user is."""

    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class Location(Shape):
    """`type` is always `approximate`."""

    approximate: Place
    type: Literal["approximate"] | UnsetType = UNSET


class WebSearchOptions(Shape):
    """That the web may be searched."""

    search_context_size: Literal["low", "medium", "high"] | None = None
    user_location: Location | None = None


class StreamOptions(Shape):
    """What a stream holds beside content."""

    include_usage: bool | None = None
    include_obfuscation: bool | UnsetType = UNSET


class Request(msgspec.Struct, omit_defaults=True):
    """The body; what is not named here becomes an extra."""

    model: str
    messages: list[Message]
    tools: list[FunctionTool | CustomTool] | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Format | None = None
    reasoning_effort: Effort | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    web_search_options: WebSearchOptions | None = None
    safety_identifier: str | None = None
    user: str | None = None
    metadata: Raw | UnsetType = UNSET
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
