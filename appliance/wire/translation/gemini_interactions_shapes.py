"""What a request of Interactions looks like: msgspec shapes. The rule: a nested field without a shape is refused.

Source: the official SDK's generated types of interactions: `CreateModelInteraction`, `GenerationConfig`, the steps and
their contents. Names are in snake case alone.
"""

from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType


class Shape(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What all shapes share: nothing unknown, and defaults are not written. JSON that we only carry is Raw or UNSET."""


class TextContent(Shape, tag_field="type", tag="text"):
    """Words."""

    text: str
    annotations: list[Raw] | None = None


class ImageContent(Shape, tag_field="type", tag="image"):
    """A picture, as base64 or by its address."""

    data: str | None = None
    uri: str | None = None
    mime_type: str | None = None
    resolution: str | None = None


class DocumentContent(Shape, tag_field="type", tag="document"):
    """A document, as base64 or by its address."""

    data: str | None = None
    uri: str | None = None
    mime_type: str | None = None
    resolution: str | None = None


Content = TextContent | ImageContent | DocumentContent


class UserInput(Shape, tag_field="type", tag="user_input"):
    """What the user says."""

    content: list[Content] = []


class ModelOutput(Shape, tag_field="type", tag="model_output"):
    """What the model said."""

    content: list[Content] = []


class Thought(Shape, tag_field="type", tag="thought"):
    """What the model thought; the signature signs it."""

    signature: str | None = None
    summary: list[Content] | None = None


class FunctionCall(Shape, tag_field="type", tag="function_call"):
    """A call; `arguments` is an object."""

    id: str
    name: str
    arguments: Raw | UnsetType = UNSET


class FunctionResult(Shape, tag_field="type", tag="function_result"):
    """A result: text, contents or an object."""

    call_id: str
    result: Raw
    name: str | None = None
    is_error: bool | None = None


Step = UserInput | ModelOutput | Thought | FunctionCall | FunctionResult
STEPS: Final = frozenset({"user_input", "model_output", "thought", "function_call", "function_result"})
CONTENTS: Final = frozenset({"text", "image", "document"})
NATIVE_STEPS: Final = frozenset(
    {
        "code_execution_call",
        "code_execution_result",
        "file_search_call",
        "file_search_result",
        "google_maps_call",
        "google_maps_result",
        "google_search_call",
        "google_search_result",
        "mcp_server_tool_call",
        "mcp_server_tool_result",
        "url_context_call",
        "url_context_result",
        "retrieval_call",
        "retrieval_result",
        "tool_search_call",
        "tool_search_result",
    }
)
"""What only this dialect knows: carried as it is."""


class Kind(msgspec.Struct):
    """The type of a step, a content or a tool."""

    type: str = ""


KIND = msgspec.json.Decoder(Kind)
STEP = msgspec.json.Decoder(Step)
CONTENT = msgspec.json.Decoder(Content)
PARTS = msgspec.json.Decoder(list[Content])


class Function(Shape):
    """A function that may be called."""

    type: str
    name: str
    description: str | None = None
    parameters: Raw | UnsetType = UNSET
    defer_loading: bool | None = None
    short_description: str | None = None


FUNCTION = msgspec.json.Decoder(Function)


class Allowed(Shape):
    """Which tools may be called."""

    mode: str | None = None
    tools: list[str] | None = None


class ChoiceConfig(Shape):
    """A choice among some tools."""

    allowed_tools: Allowed | None = None


class Format(Shape):
    """The form of the answer."""

    type: str
    mime_type: str | None = None
    schema: Raw | UnsetType = UNSET


class GenerationConfig(Shape):
    """Sampling and output."""

    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    seed: int | None = None
    thinking_level: str | None = None
    thinking_summaries: str | None = None
    tool_choice: str | ChoiceConfig | None = None
    image_config: Raw | UnsetType = UNSET
    speech_config: Raw | UnsetType = UNSET
    transcription_config: Raw | UnsetType = UNSET
    video_config: Raw | UnsetType = UNSET


NATIVE_CONFIG: Final = ("image_config", "speech_config", "transcription_config", "video_config")


class Request(msgspec.Struct, omit_defaults=True):
    """The body; what is not named here becomes an extra."""

    model: str = ""
    system_instruction: str | None = None
    input: Raw | UnsetType = UNSET
    tools: list[Raw] | None = None
    response_format: Format | list[Format] | None = None
    generation_config: GenerationConfig | None = None
    service_tier: str | None = None
    labels: Raw | UnsetType = UNSET
    store: bool | None = None
    stream: bool | None = None
