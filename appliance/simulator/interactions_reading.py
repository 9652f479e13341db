"""Reading a request of Gemini's Interactions, with the refusals by which Google protects its protocol.

Rule: names are in snake case only; what a translator can get wrong is a 400. Source of the fields: the SDK's
`_gaos/types/interactions/createmodelinteraction.py`, `generationconfig.py`, `step.py` and `content.py`.
"""

from typing import Any, Final

from appliance.simulator.completion import Asked, Tool, texts
from appliance.simulator.faults import invalid
from appliance.simulator.generate_content_reading import decoded, ours, unknown
from appliance.simulator.reading import boolean, objects, positive, stop_sequences

Json = dict[str, Any]

_FIELDS: Final = frozenset(
    """model input tools generation_config system_instruction response_format response_mime_type response_modalities
    previous_interaction_id store stream background service_tier labels cached_content continuation_token environment
    safety_settings webhook_config""".split()
)
_CONFIG: Final = frozenset(
    """image_config max_output_tokens seed speech_config stop_sequences temperature thinking_level thinking_summaries
    tool_choice top_p transcription_config video_config""".split()
)
_MEDIA: Final = ("image", "audio", "document", "video", "file")
_STEPS: Final = ("user_input", "model_output", "thought", "function_call", "function_result")


def read(body: Json) -> Asked:
    """The request as the simulator understands it. Raises Rejected."""
    for name in body:
        if name not in _FIELDS:
            raise unknown(name, "")
    config = body.get("generation_config")
    config = config if isinstance(config, dict) else {}
    for name in config:
        if name not in _CONFIG:
            raise unknown(name, "generation_config")
    previous = body.get("previous_interaction_id")
    previous = previous if isinstance(previous, str) else ""
    steps = _steps(body.get("input"))
    found = _Found()
    calls: dict[str, bool] = {}
    for number, step in enumerate(steps):
        _step(step, f"input[{number}]", calls, found, loose=bool(previous))
    if any(not answered for answered in calls.values()):
        raise invalid("Each function_call step needs a function_result step.", "input")
    store, background = body.get("store") is not False, boolean(body, "background")
    if background and not store:
        raise invalid("background=true needs store=true.", "background")
    tools, forced = _tools(body, config)
    summaries = config.get("thinking_summaries") == "auto"
    return Asked(
        body=body,
        model=body["model"],
        prompt=texts([body.get("system_instruction"), body.get("tools")]) + tuple(found.texts),
        media=found.media,
        last_user_text=found.last_user_text,
        after_tool=steps[-1].get("type") == "function_result",
        max_tokens=positive(config, "max_output_tokens"),
        tools=tools,
        tool_forced=forced,
        schema=_schema(body),
        stop=stop_sequences(config.get("stop_sequences")),
        reasoning=True if summaries else None,
        wants_summary=summaries,
        stream=boolean(body, "stream"),
        include_usage=True,
        keep=store,
        background=background,
        previous=previous,
    )


class _Found:
    """What is in the input: texts, how many media, and the last words of the user."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.media = 0
        self.last_user_text = ""


def _steps(given: object) -> list[Json]:
    """The input as steps: a text, a content, or a list of contents is what the user says."""
    if isinstance(given, str) and given:
        return [{"type": "user_input", "content": [{"type": "text", "text": given}]}]
    if isinstance(given, dict):
        given = [given]
    parts = objects(given)
    if not parts or not isinstance(given, list) or len(parts) != len(given):
        raise invalid("'input' must be a text, a content, or a list of contents or steps.", "input")
    if parts[0].get("type") in _STEPS:
        return parts
    return [{"type": "user_input", "content": parts}]


def _step(step: Json, where: str, calls: dict[str, bool], found: _Found, *, loose: bool) -> None:
    kind = step.get("type")
    match kind:
        case "user_input" | "model_output":
            spoken = _contents(step.get("content"), where, found)
            if kind == "user_input" and spoken:
                found.last_user_text = spoken
        case "thought":
            mark = step.get("signature")
            if mark is not None and not ours(mark):
                raise invalid(f"{where}: corrupted thought signature.", "input")
        case "function_call":
            if not isinstance(step.get("id"), str) or not isinstance(step.get("arguments"), dict):
                raise invalid(f"{where}: a function_call needs id, name and arguments.", "input")
            calls[step["id"]] = False
            found.texts.extend(texts([step.get("name"), step["arguments"]]))
        case "function_result":
            call = step.get("call_id")
            if not isinstance(call, str) or (call not in calls and not loose) or "result" not in step:
                raise invalid(f"{where}: function_result answers no function_call.", "input")
            calls[call] = True
            result = step["result"]
            if isinstance(result, list):
                _contents(result, where, found)
            else:
                found.texts.extend(texts(result))
        case _:
            raise invalid(f"{where}: unknown type of step.", "input")


def _contents(given: object, where: str, found: _Found) -> str:
    """Count contents; returns the text in them."""
    spoken = ""
    for content in objects(given):
        kind = content.get("type")
        if kind == "text" and isinstance(content.get("text"), str):
            spoken += content["text"]
        elif kind in _MEDIA:
            if not content.get("uri") and not decoded(content.get("data")):
                raise invalid(f"{where}: {kind} has neither data nor uri.", "input")
            found.media += 1
        else:
            raise invalid(f"{where}: unknown type of content.", "input")
    found.texts.append(spoken)
    return spoken


def _tools(body: Json, config: Json) -> tuple[tuple[Tool, ...], bool]:
    """The functions that may be called, and whether one must be."""
    offered = []
    for tool in objects(body.get("tools")):
        if tool.get("type") == "function":
            if not isinstance(tool.get("name"), str):
                raise invalid("A function needs a name.", "tools")
            offered.append(Tool(tool["name"], tool.get("parameters")))
    choice = config.get("tool_choice")
    allowed = None
    if isinstance(choice, dict):
        given = choice.get("allowed_tools")
        given = given if isinstance(given, dict) else {}
        allowed, choice = given.get("tools"), given.get("mode")
    if choice not in (None, "auto", "any", "none", "validated"):
        raise invalid("Invalid value at 'generation_config.tool_choice'", "generation_config")
    if choice == "none":
        return (), False
    names = allowed if isinstance(allowed, list) and allowed else None
    return tuple(tool for tool in offered if names is None or tool.name in names), choice == "any"


def _schema(body: Json) -> object:
    """The JSON schema of the text format, if one is asked for."""
    given = body.get("response_format")
    for form in objects([given] if isinstance(given, dict) else given):
        if form.get("type") == "text":
            if form.get("schema") is not None and form.get("mime_type") != "application/json":
                raise invalid("A schema needs mime_type application/json.", "response_format")
            return form.get("schema")
        if "properties" in form:
            return form
    return None
