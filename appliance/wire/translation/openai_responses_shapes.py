"""What a Responses request looks like: msgspec shapes. The rule: a nested field without a shape is refused.

Source: the official SDK's `types/responses/response_create_params.py`, `response_input_item_param.py` and the params
beside them. An item's `type` decides its shape; one without is a message.
"""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from appliance.domain.chat import Effort


class Shape(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What all shapes share: nothing unknown, and defaults are not written. JSON that we only carry is Raw or UNSET."""


class Breakpoint(Shape):
    """`prompt_cache_breakpoint`: 30 minutes unless said."""

    mode: Literal["explicit"] | UnsetType = UNSET
    lifetime: Literal["30m", "12h"] | None = msgspec.field(default=None, name="ttl")


class InputText(Shape, tag_field="type", tag="input_text"):
    """Words."""

    text: str
    prompt_cache_breakpoint: Breakpoint | None = None


class OutputText(Shape, tag_field="type", tag="output_text"):
    """The model's words of an earlier turn."""

    text: str
    annotations: list[Raw] | None = None
    logprobs: Raw | UnsetType = UNSET


class RefusalPart(Shape, tag_field="type", tag="refusal"):
    """A refusal of an earlier turn."""

    refusal: str


class InputImage(Shape, tag_field="type", tag="input_image"):
    """A picture; `image_url` may be a `data:` URL."""

    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


class InputFile(Shape, tag_field="type", tag="input_file"):
    """A document; `file_data` is a `data:` URL, or bare base64."""

    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


ContentPart = InputText | OutputText | RefusalPart | InputImage | InputFile
OutputPart = InputText | InputImage | InputFile


class Message(Shape):
    """A message of any role."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[ContentPart]
    type: Literal["message"] | UnsetType = UNSET
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class FunctionCall(Shape):
    """A call of a function; `arguments` is JSON text."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: str | None = None
    namespace: str | None = None
    caller: Raw | UnsetType = UNSET


class CustomCall(Shape):
    """A call of a custom tool; `input` is free text."""

    type: Literal["custom_tool_call"]
    call_id: str
    name: str
    input: str
    id: str | None = None
    status: str | None = None
    namespace: str | None = None
    caller: Raw | UnsetType = UNSET


class CallOutput(Shape):
    """What a function or a custom tool gave back."""

    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: str
    output: str | list[OutputPart]
    id: str | None = None
    status: str | None = None
    name: str | None = None
    namespace: str | None = None
    caller: Raw | UnsetType = UNSET


class SummaryText(Shape):
    """A part of a reasoning item's summary or content."""

    type: Literal["summary_text", "reasoning_text"]
    text: str


class ReasoningItem(Shape):
    """What the model thought: a summary, and the thought itself encrypted."""

    type: Literal["reasoning"]
    id: str | None = None
    summary: list[SummaryText] = []
    content: list[SummaryText] | None = None
    encrypted_content: str | None = None
    status: str | None = None


class Kind(msgspec.Struct):
    """An item's type."""

    type: str = "message"


KIND = msgspec.json.Decoder(Kind)
ITEMS: Final[dict[str, "msgspec.json.Decoder[Message | FunctionCall | CustomCall | CallOutput | ReasoningItem]"]] = {
    "message": msgspec.json.Decoder(Message),
    "function_call": msgspec.json.Decoder(FunctionCall),
    "custom_tool_call": msgspec.json.Decoder(CustomCall),
    "function_call_output": msgspec.json.Decoder(CallOutput),
    "custom_tool_call_output": msgspec.json.Decoder(CallOutput),
    "reasoning": msgspec.json.Decoder(ReasoningItem),
}
NATIVE_ITEMS: Final = frozenset(
    {
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "computer_call",
        "computer_call_output",
        "local_shell_call",
        "local_shell_call_output",
        "shell_call",
        "shell_call_output",
        "apply_patch_call",
        "apply_patch_call_output",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "tool_search_call",
        "tool_search_output",
        "compaction",
    }
)
"""What only this dialect knows: carried as it is."""


class FunctionTool(Shape):
    """A function that may be called. Left out, `strict` is true for the provider if the schema allows it."""

    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: Raw | UnsetType = UNSET
    strict: bool | None = None
    defer_loading: bool | None = None
    output_schema: Raw | UnsetType = UNSET
    allowed_callers: list[str] | None = None


class CustomTool(Shape):
    """A tool that takes free text."""

    type: Literal["custom"]
    name: str
    description: str | None = None
    format: Raw | UnsetType = UNSET
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None


class Filters(Shape):
    """Where a search may look."""

    allowed_domains: list[str] | None = None


class Location(Shape):
    """About where the user is."""

    type: Literal["approximate"] | UnsetType = UNSET
    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class WebSearchTool(Shape):
    """The provider's web search."""

    type: str
    filters: Filters | None = None
    search_context_size: Literal["low", "medium", "high"] | None = None
    user_location: Location | None = None
    external_web_access: bool | None = None
    search_content_types: list[str] | None = None


FUNCTION_TOOL = msgspec.json.Decoder(FunctionTool)
CUSTOM_TOOL = msgspec.json.Decoder(CustomTool)
WEB_SEARCH_TOOL = msgspec.json.Decoder(WebSearchTool)
WEB_SEARCH: Final = "web_search"


class Choose(Shape):
    """A tool to call, or a list of those that may be called."""

    type: str
    name: str | None = None
    mode: Literal["auto", "required"] | None = None
    tools: list["Choose"] | None = None


class Format(Shape):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: Raw | UnsetType = UNSET
    strict: bool | None = None


class TextConfig(Shape):
    """`text`."""

    format: Format | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class Reasoning(Shape):
    """`reasoning`: how much to think, and whether to show a summary."""

    effort: Effort | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: str | None = None
    mode: str | None = None


class StreamOptions(Shape):
    """What a stream holds beside content."""

    include_obfuscation: bool | UnsetType = UNSET


class Request(msgspec.Struct, omit_defaults=True):
    """The body; what is not named here becomes an extra."""

    model: str = ""
    instructions: str | None = None
    input: str | list[Raw] | None = None
    tools: list[Raw] | None = None
    tool_choice: Literal["none", "auto", "required"] | Choose | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    safety_identifier: str | None = None
    user: str | None = None
    metadata: Raw | UnsetType = UNSET
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
