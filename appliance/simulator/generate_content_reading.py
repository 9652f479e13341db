"""Reading a request of Gemini's generateContent, with the refusals by which Google protects its protocol.

Rule: what a translator can get wrong is refused as Google refuses it: fields it does not know, function responses that
do not answer the calls before them, thoughts that it did not sign. Names may come in either spelling, as proto JSON
allows. Source of the fields: the SDK's `models.py` (`_GenerateContentConfig_to_mldev`, `_Part_to_mldev`).
"""

import base64
import binascii
import hashlib
from typing import Any, Final

from appliance.simulator.completion import Asked, Tool, texts
from appliance.simulator.faults import Rejected, invalid
from appliance.simulator.reading import objects, positive, stop_sequences

_FIELDS: Final = frozenset(
    """contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent serviceTier store
    labels continuationToken model stream alt""".split()
)
_CONFIG: Final = frozenset(
    """temperature topP topK candidateCount maxOutputTokens stopSequences responseLogprobs logprobs presencePenalty
    frequencyPenalty seed responseMimeType responseSchema responseJsonSchema responseModalities mediaResolution
    speechConfig audioTranscriptionConfig thinkingConfig imageConfig enableEnhancedCivicAnswers""".split()
)
_PART: Final = frozenset(
    """text thought thoughtSignature inlineData fileData functionCall functionResponse executableCode
    codeExecutionResult videoMetadata mediaResolution partMetadata toolCall toolResponse audioTranscription
    mediaProcessing""".split()
)
_MARK: Final = b"simulator"
# Google documents these for calls that another model made.
_NO_SIGNATURE: Final = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")


def signature(text: str) -> str:
    """A thought signature: opaque, and recognised when it comes back."""
    return base64.b64encode(_MARK + hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()).decode()


def ours(mark: object) -> bool:
    """Whether a thought signature was made here, or is one of those that Google accepts for none."""
    return mark in _NO_SIGNATURE or decoded(mark).startswith(_MARK)


def read(body: dict[str, Any]) -> Asked:
    """The request as the simulator understands it. Raises Rejected."""
    given = camel(body)
    _known(given, _FIELDS, "")
    config = _object(given, "generationConfig")
    _known(config, _CONFIG, "generation_config")
    contents = [camel(content) for content in objects(given.get("contents"))]
    if not contents or len(contents) != len(given["contents"]):
        raise invalid("* GenerateContentRequest.contents: contents is not specified", "contents")
    found = _turns(contents)
    system = [camel(part) for part in objects(_object(given, "systemInstruction").get("parts"))]
    thinking = _object(config, "thinkingConfig")
    temperature = config.get("temperature")
    if temperature is not None and (not isinstance(temperature, int | float) or not 0 <= temperature <= 2):
        raise invalid("* GenerateContentRequest.generation_config.temperature: must be in the range [0.0, 2.0]")
    tools, forced = _tools(given)
    schema = config.get("responseJsonSchema", config.get("responseSchema"))
    mime = config.get("responseMimeType")
    if schema is not None and mime != "application/json":
        raise invalid("response_schema needs response_mime_type application/json", "generation_config")
    summaries = thinking.get("includeThoughts") is True
    return Asked(
        body=body,
        model=body["model"],
        prompt=texts([part.get("text") for part in system]) + tuple(found.texts) + texts(given.get("tools")),
        media=found.media,
        last_user_text=found.last_user_text,
        after_tool=_holds(contents[-1], "functionResponse"),
        max_tokens=positive(config, "maxOutputTokens"),
        choices=min(positive(config, "candidateCount") or 1, 8),
        tools=tools,
        tool_forced=forced,
        schema=schema,
        json_mode=mime == "application/json" and schema is None,
        stop=stop_sequences(config.get("stopSequences")),
        top_logprobs=_logprobs(config),
        reasoning=False if thinking.get("thinkingBudget") == 0 else (True if summaries else None),
        wants_summary=summaries,
        stream=body.get("stream") is True,
        stream_type="text/event-stream" if body.get("alt") == "sse" else "application/json; charset=UTF-8",
        include_usage=True,
    )


def camel(value: dict[str, Any]) -> dict[str, Any]:
    """The object with its names in camel case, as either spelling may come; what is inside stays."""
    return {_camel(name): part for name, part in value.items()}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest) if head else name


def unknown(name: str, where: str) -> Rejected:
    """The refusal of a field that does not exist, to raise."""
    at = f" at '{where}'" if where else ""
    return invalid(f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.', name)


def _known(value: dict[str, Any], names: frozenset[str], where: str) -> None:
    for name in value:
        if name not in names:
            raise unknown(name, where)


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    if found is not None and not isinstance(found, dict):
        raise invalid(f"Invalid value at '{name}'", name)
    return camel(found or {})


def _logprobs(config: dict[str, Any]) -> int | None:
    return min(positive(config, "logprobs") or 0, 5) if config.get("responseLogprobs") is True else None


class Found:
    """What is in the contents: texts, how many media, and the last words of the user."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.media = 0
        self.last_user_text = ""


def _turns(contents: list[dict[str, Any]]) -> Found:
    found = Found()
    calls: list[str] = []
    for number, content in enumerate(contents):
        where = f"contents[{number}]"
        role = content.get("role", "user")
        if role not in ("user", "model", "function"):
            raise invalid("Please use a valid role: user, model.", where)
        parts = [camel(part) for part in objects(content.get("parts"))]
        if not parts:
            raise invalid(f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.", where)
        answers = [camel(part["functionResponse"]) for part in parts if isinstance(part.get("functionResponse"), dict)]
        names = [str(answer.get("name")) for answer in answers]
        if (calls or names) and sorted(names) != sorted(calls):
            raise invalid(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn.",
                where,
            )
        for at, part in enumerate(parts):
            read_part(part, f"{where}.parts[{at}]", found)
        called = [part["functionCall"] for part in parts if isinstance(part.get("functionCall"), dict)]
        if called and role != "model":
            raise invalid("Please ensure that function call turn comes from the model.", where)
        calls = [str(call.get("name")) for call in called]
        spoken = [part["text"] for part in parts if isinstance(part.get("text"), str)]
        if role == "user" and spoken:
            found.last_user_text = "".join(spoken)
    return found


def read_part(part: dict[str, Any], where: str, found: Found) -> None:
    """Count one part of a content. Raises Rejected."""
    _known(part, _PART, where)
    mark = part.get("thoughtSignature")
    if mark is not None and not ours(mark):
        raise invalid("Corrupted thought signature.", where)
    for name in ("inlineData", "fileData"):
        if name not in part:
            continue
        data = camel(part[name]) if isinstance(part[name], dict) else {}
        if not data.get("mimeType") or not (data.get("fileUri") if name == "fileData" else decoded(data.get("data"))):
            raise invalid(f"Invalid value at '{where}.{name}': mime type and data are needed", where)
        found.media += 1
    given = {name: value for name, value in part.items() if name in ("text", "functionCall", "functionResponse")}
    found.texts.extend(texts(given))


def decoded(value: object) -> bytes:
    """Base64 in either alphabet; empty for what is not."""
    text = value if isinstance(value, str) else ""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _holds(content: dict[str, Any], name: str) -> bool:
    return any(name in camel(part) for part in objects(content.get("parts")))


def _tools(given: dict[str, Any]) -> tuple[tuple[Tool, ...], bool]:
    """The functions that may be called, and whether one must be."""
    offered = []
    for tool in objects(given.get("tools")):
        for declared in objects(camel(tool).get("functionDeclarations")):
            function = camel(declared)
            if not isinstance(function.get("name"), str) or not function["name"]:
                raise invalid("Invalid function name. Must start with a letter or an underscore.", "tools")
            offered.append(Tool(function["name"], function.get("parametersJsonSchema", function.get("parameters"))))
    calling = _object(_object(given, "toolConfig"), "functionCallingConfig")
    mode = str(calling.get("mode", "AUTO")).upper()
    if mode not in ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"):
        raise invalid("Invalid value at 'tool_config.function_calling_config.mode'", "tool_config")
    allowed = calling.get("allowedFunctionNames")
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise invalid("Allowed function names are only supported in mode ANY.", "tool_config")
    if mode == "NONE":
        return (), False
    return tuple(tool for tool in offered if not allowed or tool.name in allowed), mode == "ANY"
