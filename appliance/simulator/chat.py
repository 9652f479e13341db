"""Chat Completions: reading a request, and the answer as a body or as chunks.

Rule: both forms are made from one Completion. Source of the shapes: the SDK's `types/chat/*.py`.
"""

from typing import Any, Final

from appliance.simulator.completion import Asked, Choice, Completion, Tool, ToolCall, logprob, texts
from appliance.simulator.faults import Fault, invalid
from appliance.simulator.reading import boolean, format_schema, last_user_text, objects, positive, stop_sequences
from appliance.simulator.script import Phase, Script, Step, padding, sse
from appliance.simulator.world import Behaviour

Json = dict[str, Any]

ID_PREFIX: Final = "chatcmpl-"
EARLY: Final = False
THINKS: Final = False  # but where the world names a field for it

_FINGERPRINT: Final = "fp_simulator"
DONE: Final = b"data: [DONE]\n\n"


def read(body: dict[str, Any]) -> Asked:
    """The request as the simulator understands it. Raises Rejected (400) where OpenAI would."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    count = positive(body, "n") or 1
    if count > 8:
        raise invalid("'n' may be at most 8 here.", "n", "integer_above_max_value")
    options = body.get("stream_options")
    options = options if isinstance(options, dict) else {}
    if options and not boolean(body, "stream"):
        raise invalid("'stream_options' is only allowed when 'stream' is enabled.", "stream_options")
    choice = body.get("tool_choice")
    tools = _tools(body, choice)
    schema, json_mode = format_schema(body.get("response_format"), nested=True)
    top = positive(body, "top_logprobs") or 0
    return Asked(
        body=body,
        model=body["model"],
        prompt=texts([messages, body.get("tools")]),
        last_user_text=last_user_text(messages),
        after_tool=isinstance(messages[-1], dict) and messages[-1].get("role") == "tool",
        max_tokens=positive(body, "max_completion_tokens") or positive(body, "max_tokens"),
        choices=count,
        tools=tools,
        tool_forced=choice == "required" or isinstance(choice, dict),
        parallel_tools=body.get("parallel_tool_calls") is not False,
        schema=schema,
        json_mode=json_mode,
        stop=stop_sequences(body.get("stop")),
        top_logprobs=min(top, 5) if boolean(body, "logprobs") else None,
        stream=boolean(body, "stream"),
        include_usage=options.get("include_usage") is True,
        include_obfuscation=options.get("include_obfuscation") is not False,
    )


def _tools(body: dict[str, Any], choice: object) -> tuple[Tool, ...]:
    """The function tools that may be called; one only, if `tool_choice` names it."""
    if choice == "none":
        return ()
    named = None
    if isinstance(choice, dict):
        named = choice["function"].get("name") if isinstance(choice.get("function"), dict) else None
    offered = [tool["function"] for tool in objects(body.get("tools")) if isinstance(tool.get("function"), dict)]
    tools = tuple(Tool(str(f.get("name", "")), f.get("parameters")) for f in offered if named in (None, f.get("name")))
    if named is not None and not tools:
        raise invalid(f"Tool choice names no tool of the request: {named!r}.", "tool_choice")
    return tools


def body(asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> tuple[Json, Json | None]:
    """The unstreamed answer, and the usage it tells (None if it tells none)."""
    usage = None if behaviour.omit_usage else _usage(completion)
    answer: dict[str, Any] = {
        "id": f"chatcmpl-{completion.id}",
        "object": "chat.completion",
        "created": completion.created,
        "model": asked.model,
        "choices": [
            {
                "index": index,
                "message": _message(choice, completion, behaviour),
                "logprobs": _logprobs(asked, choice, choice.pieces),
                "finish_reason": _finish(choice),
            }
            for index, choice in enumerate(completion.choices)
        ],
        "service_tier": tier,
        "system_fingerprint": _FINGERPRINT,
    }
    if usage is not None:
        answer["usage"] = usage
    return answer, usage


def script(asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> Script:
    """The streamed answer: role chunks, content, finish reasons, usage if asked for, `[DONE]`."""
    usage = _usage(completion) if asked.include_usage and not behaviour.omit_usage else None
    steps: list[Step] = []
    pad = behaviour.obfuscation and asked.include_obfuscation

    def chunk(phase: Phase, index: int, delta: dict[str, Any], *, finish: str | None = None, tokens: int = 0,
              logprobs: dict[str, Any] | None = None, text: str | None = None) -> None:  # fmt: skip
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        value = _chunk(asked, completion, tier, [choice])
        if asked.include_usage:
            value["usage"] = None
        if pad and text is not None:
            value["obfuscation"] = padding(text, len(steps))
        steps.append(Step(phase, sse(value), tokens))

    for index in range(len(completion.choices)):
        chunk(Phase.PREAMBLE, index, {"role": "assistant", "content": "", "refusal": None})
    if behaviour.reasoning_field:
        for piece in completion.reasoning:
            chunk(Phase.CONTENT, 0, {behaviour.reasoning_field: piece}, tokens=1, text=piece)
    for position in range(max((choice.tokens for choice in completion.choices), default=0)):
        for index, choice in enumerate(completion.choices):
            if position < len(choice.pieces):
                piece = choice.pieces[position]
                delta = {"refusal" if choice.declined else "content": piece}
                logprobs = _logprobs(asked, choice, (piece,))
                chunk(Phase.CONTENT, index, delta, tokens=1, logprobs=logprobs, text=piece)
    for index, choice in enumerate(completion.choices):
        for number, call in enumerate(choice.tool_calls):
            chunk(Phase.CONTENT, index, {"tool_calls": [_tool_call(call, number, "")]}, tokens=1)
            for fragment in call.fragments:
                more = {"tool_calls": [{"index": number, "function": {"arguments": fragment}}]}
                chunk(Phase.CONTENT, index, more, tokens=1, text=fragment)
    for index, choice in enumerate(completion.choices):
        chunk(Phase.CLOSING, index, {}, finish=_finish(choice))
    if usage is not None:
        steps.append(Step(Phase.CLOSING, sse(_chunk(asked, completion, tier, []) | {"usage": usage})))
    steps.append(Step(Phase.CLOSING, DONE))
    return Script(tuple(steps), usage)


def failure(fault: Fault, message: str, *, asked: Asked, completion: Completion, sequence: int) -> list[bytes]:
    """What a stream says that fails after its 200: one data chunk with an `error` object, and nothing after it."""
    return [sse({"error": fault.error(message)})]


def _chunk(asked: Asked, completion: Completion, tier: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{completion.id}",
        "object": "chat.completion.chunk",
        "created": completion.created,
        "model": asked.model,
        "service_tier": tier,
        "system_fingerprint": _FINGERPRINT,
        "choices": choices,
    }


def _message(choice: Choice, completion: Completion, behaviour: Behaviour) -> dict[str, Any]:
    text = choice.text if choice.pieces else None
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if choice.declined else (text if choice.tool_calls else text or ""),
        "refusal": text if choice.declined else None,
        "annotations": [],
    }
    if behaviour.reasoning_field and completion.reasoning:
        message[behaviour.reasoning_field] = "".join(completion.reasoning)
    if choice.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in choice.tool_calls
        ]
    return message


def _tool_call(call: ToolCall, number: int, arguments: str) -> dict[str, Any]:
    return {"index": number, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _finish(choice: Choice) -> str:
    if choice.tool_calls:
        return "tool_calls"
    return "length" if choice.cut_short else "stop"


def _logprobs(asked: Asked, choice: Choice, pieces: tuple[str, ...]) -> dict[str, Any] | None:
    if asked.top_logprobs is None or not pieces:
        return None
    values = []
    for piece in pieces:
        one = {"token": piece, "logprob": logprob(piece), "bytes": list(piece.encode())}
        values.append(one | {"top_logprobs": [dict(one)] if asked.top_logprobs else []})
    return {"content": None, "refusal": values} if choice.declined else {"content": values, "refusal": None}


def _usage(completion: Completion) -> dict[str, Any]:
    return {
        "prompt_tokens": completion.input_tokens,
        "completion_tokens": completion.output_tokens,
        "total_tokens": completion.input_tokens + completion.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": completion.cached_tokens,
            "audio_tokens": 0,
            "cache_write_tokens": completion.cache_write_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": completion.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
