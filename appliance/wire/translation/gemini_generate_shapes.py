"""What a generateContent request looks like: msgspec shapes. The rule: a nested field without a shape is refused.

Source: the official SDK's `types.GenerateContentConfig`, `types.Content`, `types.Part` and what they hold, and its
converters `_*_to_mldev`, which say what goes over the wire. Names are in camel case; see gemini_spelling for others.
"""

from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType


class Shape(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """What all shapes share: nothing unknown, and defaults are not written. JSON that we only carry is Raw or UNSET."""


class Blob(Shape):
    """Content in the request; base64, which may be URL-safe."""

    mime_type: str
    data: str
    display_name: str | None = None


class FileData(Shape):
    """Content that the provider fetches, or a file at it."""

    file_uri: str
    mime_type: str | None = None
    display_name: str | None = None


class FunctionCall(Shape):
    """A call; `args` is an object."""

    name: str
    args: Raw | UnsetType = UNSET
    id: str | None = None


class ResponsePart(Shape):
    """Content beside a function's response."""

    inline_data: Blob | None = None
    file_data: FileData | None = None


class FunctionResponse(Shape):
    """A result; `response` is an object: its `output` or `error`, or all of it, is what the function gave."""

    name: str
    response: Raw | UnsetType = UNSET
    id: str | None = None
    parts: list[ResponsePart] | None = None
    will_continue: bool | None = None
    scheduling: str | None = None


class Part(Shape):
    """One part: one of the fields that hold data, and marks beside it."""

    text: str | None = None
    thought: bool | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: Raw | UnsetType = UNSET
    code_execution_result: Raw | UnsetType = UNSET
    tool_call: Raw | UnsetType = UNSET
    tool_response: Raw | UnsetType = UNSET
    video_metadata: Raw | UnsetType = UNSET
    media_resolution: Raw | UnsetType = UNSET
    part_metadata: Raw | UnsetType = UNSET
    thought_signature: str | None = None


NATIVE_PARTS: Final = ("executable_code", "code_execution_result", "tool_call", "tool_response")
"""What only this dialect knows: carried as it is."""
MARKS: Final = ("video_metadata", "media_resolution", "part_metadata")


class Content(Shape):
    """One speaker's parts."""

    parts: list[Part] | None = None
    role: str | None = None


class FunctionDeclaration(Shape):
    """A function that may be called, its schema in Google's form (`parameters`) or in JSON Schema."""

    name: str
    description: str | None = None
    parameters: Raw | UnsetType = UNSET
    parameters_json_schema: Raw | UnsetType = UNSET
    response: Raw | UnsetType = UNSET
    response_json_schema: Raw | UnsetType = UNSET
    behavior: str | None = None


class CallingConfig(Shape):
    """Whether and what to call. `mode` is AUTO, ANY, NONE or VALIDATED."""

    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(Shape):
    """How tools are used."""

    function_calling_config: CallingConfig | None = None
    retrieval_config: Raw | UnsetType = UNSET
    include_server_side_tool_invocations: bool | None = None


class ThinkingConfig(Shape):
    """`thinking_level` is MINIMAL to XHIGH; a budget of 0 is none, of -1 the model's choice."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GenerationConfig(Shape):
    """Sampling and output; what has no field here is asked for where only this dialect has it."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    response_mime_type: str | None = None
    response_schema: Raw | UnsetType = UNSET
    response_json_schema: Raw | UnsetType = UNSET
    response_modalities: list[str] | None = None
    thinking_config: ThinkingConfig | None = None
    media_resolution: Raw | UnsetType = UNSET
    speech_config: Raw | UnsetType = UNSET
    image_config: Raw | UnsetType = UNSET
    audio_transcription_config: Raw | UnsetType = UNSET
    enable_enhanced_civic_answers: Raw | UnsetType = UNSET


NATIVE_CONFIG: Final = (
    "media_resolution",
    "speech_config",
    "image_config",
    "audio_transcription_config",
    "enable_enhanced_civic_answers",
)


class Request(msgspec.Struct, omit_defaults=True, rename="camel"):
    """The body; what is not named here becomes an extra. The model is in the path, and in the body of no SDK."""

    model: str = ""
    contents: list[Content] = []
    system_instruction: Content | None = None
    tools: list[dict[str, Raw]] | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None
    service_tier: str | None = None
    store: bool | None = None
    labels: Raw | UnsetType = UNSET
