"""Responses: reading a request, and the answer as an object or as events.

Rule: both forms are made from one Completion, and the object of the terminal event *is* the unstreamed body. Source
of the shapes: the SDK's `types/responses/*.py`; order of events as observed of OpenAI.
"""

from typing import Any, Final

from appliance.simulator.completion import Asked, Choice, Completion, Tool, ToolCall, logprob, texts
from appliance.simulator.faults import Fault, invalid
from appliance.simulator.reading import boolean, format_schema, last_user_text, objects, positive
from appliance.simulator.script import Phase, Script, Step, padding, sse
from appliance.simulator.world import Behaviour

Json = dict[str, Any]

ID_PREFIX: Final = "resp_"
EARLY: Final = True
THINKS: Final = True

# Codes that `response.error.code` may have; others (as in the `error` event) become server_error.
_RESPONSE_CODES: Final = ("server_error", "rate_limit_exceeded", "invalid_prompt")


def read(body: dict[str, Any]) -> Asked:
    """The request as the simulator understands it. Raises Rejected (400) where OpenAI would."""
    given = body.get("input")
    if not isinstance(given, str | list) or not given:
        raise invalid("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    items: list[Any] = [{"role": "user", "content": given}] if isinstance(given, str) else given
    options = body.get("stream_options")
    options = options if isinstance(options, dict) else {}
    text = body.get("text")
    schema, json_mode = format_schema(text.get("format") if isinstance(text, dict) else None, nested=False)
    choice = body.get("tool_choice")
    reasoning = body.get("reasoning")
    include = body.get("include")
    wants_logprobs = isinstance(include, list) and "message.output_text.logprobs" in include
    last = items[-1] if isinstance(items[-1], dict) else {}
    return Asked(
        body=body,
        model=body["model"],
        prompt=texts([body.get("instructions"), items, body.get("tools")]),
        last_user_text=last_user_text(items),
        after_tool=last.get("type") == "function_call_output",
        max_tokens=positive(body, "max_output_tokens"),
        tools=_tools(body, choice),
        tool_forced=choice == "required" or isinstance(choice, dict),
        parallel_tools=body.get("parallel_tool_calls") is not False,
        schema=schema,
        json_mode=json_mode,
        top_logprobs=min(positive(body, "top_logprobs") or 0, 5) if wants_logprobs else None,
        wants_summary=isinstance(reasoning, dict) and reasoning.get("summary") is not None,
        stream=boolean(body, "stream"),
        include_usage=True,
        include_obfuscation=options.get("include_obfuscation") is not False,
    )


def _tools(body: dict[str, Any], choice: object) -> tuple[Tool, ...]:
    if choice == "none":
        return ()
    named = choice.get("name") if isinstance(choice, dict) and choice.get("type") == "function" else None
    offered = [tool for tool in objects(body.get("tools")) if tool.get("type") == "function"]
    tools = tuple(Tool(str(f.get("name", "")), f.get("parameters")) for f in offered if named in (None, f.get("name")))
    if named is not None and not tools:
        raise invalid(f"Tool choice names no tool of the request: {named!r}.", "tool_choice")
    return tools


def body(asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> tuple[Json, Json | None]:
    """The unstreamed answer, and the usage it tells (None if it tells none)."""
    usage = None if behaviour.omit_usage else _usage(completion)
    short = completion.choices[0].cut_short
    answer = _frame(asked, completion) | {
        "status": "incomplete" if short else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if short else None,
        "completed_at": None if short else completion.created + 1 + completion.output_tokens // 100,
        "output": _items(asked, completion),
        "service_tier": tier,
        "usage": usage,
    }
    return answer, usage


def script(asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> Script:
    """The streamed answer: created, in progress, each output item with its deltas, and the terminal event."""
    final, usage = body(asked, completion, behaviour, tier)
    pad = behaviour.obfuscation and asked.include_obfuscation
    steps: list[Step] = []

    def event(phase: Phase, kind: str, tokens: int = 0, **fields: Any) -> None:
        value = {"type": kind} | fields | {"sequence_number": len(steps)}
        if pad and "delta" in fields:
            value["obfuscation"] = padding(fields["delta"], len(steps))
        steps.append(Step(phase, sse(value, kind), tokens))

    first = _frame(asked, completion)
    event(Phase.PREAMBLE, "response.created", response=first)
    event(Phase.PREAMBLE, "response.in_progress", response=first)
    for index, item in enumerate(final["output"]):
        where = {"item_id": item["id"], "output_index": index}
        empty = _emptied(item)
        event(Phase.OUTPUT, "response.output_item.added", output_index=index, item=empty)
        match item["type"]:
            case "reasoning" if item["summary"]:
                _summary_events(event, item, where, completion)
            case "reasoning":
                # Without a summary reasoning streams nothing: only time passes until the item is done.
                event(
                    Phase.OUTPUT,
                    "response.output_item.done",
                    completion.reasoning_tokens,
                    output_index=index,
                    item=item,
                )
                continue
            case "function_call":
                call = next(call for call in completion.choices[0].tool_calls if call.item_id == item["id"])
                for fragment in call.fragments:
                    kind = "response.function_call_arguments.delta"
                    event(Phase.CONTENT, kind, 1, **where, delta=fragment)
                event(Phase.CLOSING, "response.function_call_arguments.done", **where, arguments=call.arguments)
            case _:
                _message_events(event, item, where, asked, completion.choices[0])
        event(Phase.CLOSING, "response.output_item.done", output_index=index, item=item)
    event(Phase.CLOSING, f"response.{final['status']}", response=final)
    return Script(tuple(steps), usage)


def _summary_events(event: Any, item: dict[str, Any], where: dict[str, Any], completion: Completion) -> None:
    at = where | {"summary_index": 0}
    prefix = "response.reasoning_summary"
    event(Phase.OUTPUT, f"{prefix}_part.added", **at, part={"type": "summary_text", "text": ""})
    for piece in completion.reasoning:
        event(Phase.CONTENT, f"{prefix}_text.delta", 1, **at, delta=piece)
    event(Phase.OUTPUT, f"{prefix}_text.done", **at, text=item["summary"][0]["text"])
    event(Phase.OUTPUT, f"{prefix}_part.done", **at, part=item["summary"][0])


def _message_events(event: Any, item: dict[str, Any], where: dict[str, Any], asked: Asked, choice: Choice) -> None:
    at = where | {"content_index": 0}
    part = item["content"][0]
    if choice.declined:
        event(Phase.OUTPUT, "response.content_part.added", **at, part={"type": "refusal", "refusal": ""})
        for piece in choice.pieces:
            event(Phase.CONTENT, "response.refusal.delta", 1, **at, delta=piece)
        event(Phase.CLOSING, "response.refusal.done", **at, refusal=choice.text)
    else:
        event(Phase.OUTPUT, "response.content_part.added", **at, part=part | {"text": "", "logprobs": []})
        for piece in choice.pieces:
            event(
                Phase.CONTENT,
                "response.output_text.delta",
                1,
                **at,
                delta=piece,
                logprobs=_brief(_logprobs(asked, (piece,))),
            )
        event(Phase.CLOSING, "response.output_text.done", **at, text=choice.text, logprobs=_brief(part["logprobs"]))
    event(Phase.CLOSING, "response.content_part.done", **at, part=part)


def failure(fault: Fault, message: str, *, asked: Asked, completion: Completion, sequence: int) -> list[bytes]:
    """What a stream says that fails after its 200: an `error` event (with the error nested, as OpenAI sends it) and
    `response.failed`. `sequence` is the number of the next event.
    """
    error = {"type": "error", "error": fault.error(message), "sequence_number": sequence}
    code = fault.code if fault.code in _RESPONSE_CODES else "server_error"
    told = {"code": code, "message": message or fault.message}
    failed = _frame(asked, completion) | {"status": "failed", "error": told}
    event = {"type": "response.failed", "response": failed, "sequence_number": sequence + 1}
    return [sse(error, "error"), sse(event, "response.failed")]


def _frame(asked: Asked, completion: Completion) -> dict[str, Any]:
    """The response object while it is in progress: the request's settings echoed, nothing answered."""
    given = asked.body
    text = given.get("text") if isinstance(given.get("text"), dict) else {}
    reasoning = given.get("reasoning") if isinstance(given.get("reasoning"), dict) else {}
    tier = given.get("service_tier")
    return {
        "id": f"resp_{completion.id}",
        "object": "response",
        "created_at": completion.created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": given.get("instructions"),
        "max_output_tokens": given.get("max_output_tokens"),
        "max_tool_calls": given.get("max_tool_calls"),
        "model": asked.model,
        "output": [],
        "parallel_tool_calls": asked.parallel_tools,
        "previous_response_id": given.get("previous_response_id"),
        "prompt_cache_key": given.get("prompt_cache_key"),
        "reasoning": {"effort": None, "summary": None} | (reasoning or {}),
        "safety_identifier": given.get("safety_identifier"),
        # Until the end the tier that was asked for; the tier served is in the terminal event.
        "service_tier": tier if isinstance(tier, str) else "auto",
        "store": given.get("store") is not False,
        "temperature": given.get("temperature", 1.0),
        "text": {"format": {"type": "text"}, "verbosity": "medium"} | (text or {}),
        "tool_choice": given.get("tool_choice") or "auto",
        "tools": [{"strict": True, "parameters": None} | tool for tool in objects(given.get("tools"))],
        "top_logprobs": given.get("top_logprobs") or 0,
        "top_p": given.get("top_p", 1.0),
        "truncation": given.get("truncation") or "disabled",
        "usage": None,
        "user": given.get("user"),
        "metadata": given.get("metadata") or {},
    }


def _items(asked: Asked, completion: Completion) -> list[dict[str, Any]]:
    """The finished output items, in order."""
    choice = completion.choices[0]
    items: list[dict[str, Any]] = []
    if completion.reasoning:
        summary = [{"type": "summary_text", "text": "".join(completion.reasoning)}] if asked.wants_summary else []
        items.append({"id": f"rs_{completion.id}", "type": "reasoning", "summary": summary})
    if choice.tool_calls and not choice.pieces:
        return items + [_call_item(call) for call in choice.tool_calls]
    part: dict[str, Any] = {"type": "refusal", "refusal": choice.text}
    if not choice.declined:
        logprobs = _logprobs(asked, choice.pieces)
        part = {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": choice.text}
    status = "incomplete" if choice.cut_short else "completed"
    message = {
        "id": f"msg_{completion.id}",
        "type": "message",
        "status": status,
        "content": [part],
        "role": "assistant",
    }
    return [*items, message, *(_call_item(call) for call in choice.tool_calls)]


def _call_item(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.item_id,
        "type": "function_call",
        "status": "completed",
        "arguments": call.arguments,
        "call_id": call.id,
        "name": call.name,
    }


def _emptied(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it is when it is added: nothing in it yet."""
    match item["type"]:
        case "reasoning":
            return item | {"summary": []}
        case "function_call":
            return item | {"status": "in_progress", "arguments": ""}
        case _:
            return item | {"status": "in_progress", "content": []}


def _logprobs(asked: Asked, pieces: tuple[str, ...]) -> list[dict[str, Any]]:
    if asked.top_logprobs is None:
        return []
    values = []
    for piece in pieces:
        one = {"token": piece, "logprob": logprob(piece), "bytes": list(piece.encode())}
        values.append(one | {"top_logprobs": [dict(one)] if asked.top_logprobs else []})
    return values


def _brief(logprobs: list[Json]) -> list[Json]:
    """Log probabilities as the delta and done events carry them: without the bytes."""
    return [
        {name: value for name, value in one.items() if name != "bytes"}
        | {"top_logprobs": [{"token": top["token"], "logprob": top["logprob"]} for top in one["top_logprobs"]]}
        for one in logprobs
    ]


def _usage(completion: Completion) -> dict[str, Any]:
    return {
        "input_tokens": completion.input_tokens,
        "input_tokens_details": {
            "cached_tokens": completion.cached_tokens,
            "cache_write_tokens": completion.cache_write_tokens,
        },
        "output_tokens": completion.output_tokens,
        "output_tokens_details": {"reasoning_tokens": completion.reasoning_tokens},
        "total_tokens": completion.input_tokens + completion.output_tokens,
    }
