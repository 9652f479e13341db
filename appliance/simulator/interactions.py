"""Gemini's Interactions: the answer as an interaction or as events of its steps.

Rule: both forms are made from one Completion and one list of steps. Source of the shapes: the SDK's generated types
(`_gaos/types/interactions`: Interaction, InteractionSSEEvent and its variants, Step, Usage) and `interactions.py`.
"""

from typing import Any, Final

import msgspec

from appliance.simulator import gemini, interactions_reading
from appliance.simulator.completion import Asked, Completion
from appliance.simulator.faults import Fault
from appliance.simulator.generate_content_reading import signature
from appliance.simulator.script import Phase, Script, Step, sse
from appliance.simulator.world import Behaviour

Json = dict[str, Any]

ID_PREFIX: Final = "v1_"
EARLY: Final = True
THINKS: Final = True
_DONE: Final = b"event: done\ndata: [DONE]\n\n"
_DATE: Final = "2026-11-01T00:00:00Z"  # fixed, so that answers repeat


def read(body: Json) -> Asked:
    """The request as the simulator understands it. Raises Rejected (400) where Google would."""
    return interactions_reading.read(body)


def error(fault: Fault, message: str, request_id: str, retry_s: float) -> bytes:
    """The body of a refusal: here the code is a word, not a number."""
    return fault.page(message) if fault.html else msgspec.json.encode(_told(fault, message))


def body(asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> tuple[Json, Json | None]:
    """The unstreamed answer, and the usage it tells (None if it tells none)."""
    usage = None if behaviour.omit_usage else _usage(completion)
    steps = [whole for whole, _, _ in _steps(asked, completion)]
    told = _frame(asked, completion, tier, _status(completion, behaviour)) | {"steps": steps}
    if asked.previous:
        told["previous_interaction_id"] = asked.previous
    return told | ({"usage": usage} if usage is not None else {}), usage


def script(asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> Script:
    """The streamed answer: created, in progress, each step with its deltas, completed, `[DONE]`."""
    usage = None if behaviour.omit_usage else _usage(completion)
    steps: list[Step] = []

    def event(phase: Phase, kind: str, tokens: int = 0, **fields: Any) -> None:
        value = {"event_type": kind} | fields | {"event_id": f"{completion.id}-{len(steps)}"}
        steps.append(Step(phase, sse(value, kind), tokens))

    identity = f"{ID_PREFIX}{completion.id}"
    event(Phase.PREAMBLE, "interaction.created", interaction=_frame(asked, completion, tier, "in_progress"))
    event(Phase.PREAMBLE, "interaction.status_update", interaction_id=identity, status="in_progress")
    for index, (_, start, deltas) in enumerate(_steps(asked, completion)):
        event(Phase.OUTPUT, "step.start", index=index, step=start)
        for delta, tokens, phase in deltas:
            event(phase, "step.delta", tokens, index=index, delta=delta)
        event(Phase.CLOSING, "step.stop", index=index)
    final = _frame(asked, completion, tier, _status(completion, behaviour))
    final |= {"usage": usage} if usage is not None else {}
    event(Phase.CLOSING, "interaction.completed", interaction=final)
    steps.append(Step(Phase.CLOSING, _DONE))
    return Script(tuple(steps), usage)


def failure(fault: Fault, message: str, *, asked: Asked, completion: Completion, sequence: int) -> list[bytes]:
    """What a stream says that fails after its 200: one `error` event, and `[DONE]`."""
    event = {"event_type": "error"} | _told(fault, message) | {"event_id": f"{completion.id}-{sequence}"}
    return [sse(event, "error"), _DONE]


def _told(fault: Fault, message: str) -> Json:
    told = gemini.told(fault, message)["error"]
    return {"error": {"message": told["message"], "code": told["status"].lower()}}


def _frame(asked: Asked, completion: Completion, tier: str, status: str) -> Json:
    return {
        "id": f"{ID_PREFIX}{completion.id}",
        "object": "interaction",
        "status": status,
        "model": asked.model,
        "created": _DATE,
        "updated": _DATE,
        "service_tier": gemini.served(tier),
    }


def _status(completion: Completion, behaviour: Behaviour) -> str:
    choice = completion.choices[0]
    if behaviour.finish:
        return behaviour.finish
    if choice.tool_calls:
        return "requires_action"
    return "incomplete" if choice.cut_short else "completed"


def _steps(asked: Asked, completion: Completion) -> list[tuple[Json, Json, list[tuple[Json, int, Phase]]]]:
    """Each step: whole, as it starts, and the deltas between (delta, tokens, phase)."""
    choice = completion.choices[0]
    steps: list[tuple[Json, Json, list[tuple[Json, int, Phase]]]] = []
    if completion.reasoning:
        steps.append(_thought(asked, completion))
    if choice.pieces or not choice.tool_calls:
        whole = {"type": "model_output", "content": [{"type": "text", "text": choice.text}]}
        deltas = [({"type": "text", "text": piece}, 1, Phase.CONTENT) for piece in choice.pieces]
        steps.append((whole, {"type": "model_output"}, deltas))
    for call in choice.tool_calls:
        head: Json = {"type": "function_call", "id": call.id, "name": call.name}
        deltas = [({"type": "arguments_delta", "arguments": part}, 1, Phase.CONTENT) for part in call.fragments]
        arguments = msgspec.json.decode(call.arguments)
        steps.append((head | {"arguments": arguments}, head | {"arguments": {}}, deltas))
    return steps


def _thought(asked: Asked, completion: Completion) -> tuple[Json, Json, list[tuple[Json, int, Phase]]]:
    """Thoughts, with their summary if that was asked for; else the time passes until the signature comes."""
    text = "".join(completion.reasoning)
    signed = signature(text)
    whole: Json = {"type": "thought", "signature": signed}
    deltas: list[tuple[Json, int, Phase]] = []
    if asked.wants_summary:
        whole["summary"] = [{"type": "text", "text": text}]
        for piece in completion.reasoning:
            delta = {"type": "thought_summary", "content": {"type": "text", "text": piece}}
            deltas.append((delta, 1, Phase.CONTENT))
    silent = 0 if asked.wants_summary else completion.reasoning_tokens
    deltas.append(({"type": "thought_signature", "signature": signed}, silent, Phase.OUTPUT))
    return whole, {"type": "thought"}, deltas


def _usage(completion: Completion) -> Json:
    """Usage: the input holds what was cached, the output does not hold the thoughts."""
    spoken = completion.output_tokens - completion.reasoning_tokens
    return {
        "total_input_tokens": completion.input_tokens,
        "input_tokens_by_modality": [{"modality": "text", "tokens": completion.input_tokens}],
        "total_cached_tokens": completion.cached_tokens,
        "total_output_tokens": spoken,
        "total_thought_tokens": completion.reasoning_tokens,
        "total_tool_use_tokens": 0,
        "total_tokens": completion.input_tokens + completion.output_tokens,
    }
