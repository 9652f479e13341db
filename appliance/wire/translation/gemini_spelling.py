"""Google's two spellings of names. The rule: `system_instruction` means `systemInstruction`, but only in what is ours.

Proto JSON takes fields in snake case too, as Google's own examples with curl write them. What callers name themselves
(arguments, responses, schemas, labels) is left as it is.
"""

import re
from typing import Any, Final

import msgspec

_SNAKE = re.compile(
    rb'"(?:system_instruction|generation_config|tool_config|service_tier|safety_settings|cached_content|inline_data'
    rb"|file_data|mime_type|file_uri|display_name|function_call|function_response|function_declarations"
    rb"|function_calling_config|allowed_function_names|thought_signature|google_search|url_context|code_execution"
    rb"|google_search_retrieval|google_maps|file_search|computer_use|executable_code|code_execution_result"
    rb"|video_metadata|media_resolution|parameters_json_schema|response_json_schema|response_schema"
    rb"|response_mime_type|response_modalities|response_logprobs|thinking_config|thinking_budget|thinking_level"
    rb"|include_thoughts|top_p|top_k|candidate_count|max_output_tokens|stop_sequences|presence_penalty"
    rb'|frequency_penalty|will_continue|start_within|include_cost|start_target|finish_within)"\s*:'
)
_FREE: Final = frozenset(
    {
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseSchema",
        "responseJsonSchema",
        "labels",
        "partMetadata",
    }
)
_OURS: Final = frozenset({"start_within", "include_cost", "start_target", "finish_within"})
_DECODER = msgspec.json.Decoder(dict[str, Any])
_ENCODER = msgspec.json.Encoder()


def in_camel_case(body: bytes) -> bytes:
    """The body with its fields in camel case; the very same bytes if they are already, or are no JSON object."""
    if _SNAKE.search(body) is None:
        return body
    try:
        return _ENCODER.encode(_object(_DECODER.decode(body)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body


def _object(value: dict[str, Any]) -> dict[str, Any]:
    told = {}
    for name, inner in value.items():
        camel = name if name in _OURS else _camel(name)
        told[camel] = inner if camel in _FREE else _value(inner)
    return told


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, list):
        return [_value(one) for one in value]
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest) if first else name
