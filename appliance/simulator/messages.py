"""Anthropic's Messages: the answer as a message or as events, and the counting of tokens.

Rule: both forms are made from one Completion and one list of blocks. Source of the shapes: the SDK's
`types/message.py`, `types/usage.py` and `types/raw_*_event.py`; order of events as the SDK's
`lib/streaming/_messages.py` takes them.
"""

from typing import Any, Final

import msgspec

from appliance.simulator import anthropic, messages_reading
from appliance.simulator.completion import Asked, Completion, input_tokens
from appliance.simulator.faults import Fault
from appliance.simulator.messages_reading import redacted, signature
from appliance.simulator.script import Phase, Script, Step, sse
from appliance.simulator.world import Behaviour, Model

Json = dict[str, Any]

ID_PREFIX: Final = "msg_"
EARLY: Final = True
THINKS: Final = True


class _Block(msgspec.Struct):
    """One block: as it is whole, as it starts, and the deltas between: (delta, tokens, phase)."""

    whole: Json
    start: Json
    deltas: list[tuple[Json, int, Phase]]


def read(body: Json) -> Asked:
    """The request as the simulator understands it. Raises Rejected (400) where Anthropic would."""
    return messages_reading.read(body)


def count(body: Json, model: Model, seed: int) -> tuple[Json, Json | None]:
    """`POST /v1/messages/count_tokens`: how many tokens the input has."""
    return {"input_tokens": input_tokens(messages_reading.read(body, counting=True))}, None


def body(asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> tuple[Json, Json | None]:
    """The unstreamed answer, and the usage it tells."""
    usage = _usage(asked, completion, tier)
    message = _message(asked, completion, usage) | _stop(completion, behaviour)
    return message | {"content": [block.whole for block in _blocks(asked, completion, behaviour)]}, usage


def script(asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> Script:
    """The streamed answer: `message_start`, each block with its deltas and a ping in the first, and how it ended."""
    usage = _usage(asked, completion, tier)
    steps: list[Step] = []

    def event(phase: Phase, kind: str, tokens: int = 0, **fields: Any) -> None:
        steps.append(Step(phase, sse({"type": kind} | fields, kind), tokens))

    begun = {name: value for name, value in usage.items() if name != "output_tokens_details"} | {"output_tokens": 1}
    event(Phase.PREAMBLE, "message_start", message=_message(asked, completion, begun))
    for index, block in enumerate(_blocks(asked, completion, behaviour)):
        event(Phase.OUTPUT, "content_block_start", index=index, content_block=block.start)
        if index == 0:
            event(Phase.OUTPUT, "ping")
        for delta, tokens, phase in block.deltas:
            event(phase, "content_block_delta", tokens, index=index, delta=delta)
        event(Phase.CLOSING, "content_block_stop", index=index)
    counts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    final = {name: usage[name] for name in (*counts, "output_tokens_details")}
    event(Phase.CLOSING, "message_delta", delta=_stop(completion, behaviour), usage=final)
    event(Phase.CLOSING, "message_stop")
    return Script(tuple(steps), usage)


def failure(fault: Fault, message: str, *, asked: Asked, completion: Completion, sequence: int) -> list[bytes]:
    """What a stream says that fails after its 200: one `error` event, and nothing after it."""
    return [sse(anthropic.told(fault, message), "error")]


def _message(asked: Asked, completion: Completion, usage: Json) -> Json:
    """The message before anything is in it."""
    return {
        "id": f"msg_{completion.id}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage,
    }


def _blocks(asked: Asked, completion: Completion, behaviour: Behaviour) -> list[_Block]:
    """The finished blocks, in order: thinking, redacted thinking, text, calls."""
    choice = completion.choices[0]
    blocks = []
    if completion.reasoning:
        blocks.append(_thinking(asked, completion))
        if behaviour.redacted:
            block = {"type": "redacted_thinking", "data": redacted(completion.id)}
            blocks.append(_Block(block, block, []))
    if choice.pieces or not choice.tool_calls:
        deltas = [({"type": "text_delta", "text": piece}, 1, Phase.CONTENT) for piece in choice.pieces]
        blocks.append(_Block({"type": "text", "text": choice.text}, {"type": "text", "text": ""}, deltas))
    for call in choice.tool_calls:
        head = {"type": "tool_use", "id": f"toolu_{call.id.removeprefix('call_')}", "name": call.name}
        deltas = [({"type": "input_json_delta", "partial_json": ""}, 0, Phase.OUTPUT)]
        for fragment in call.fragments:
            deltas.append(({"type": "input_json_delta", "partial_json": fragment}, 1, Phase.CONTENT))
        whole = head | {"input": msgspec.json.decode(call.arguments)}
        blocks.append(_Block(whole, head | {"input": {}}, deltas))
    return blocks


def _thinking(asked: Asked, completion: Completion) -> _Block:
    """Thinking with its signature; left out, the time passes until the signature comes."""
    text = "".join(completion.reasoning) if asked.wants_summary else ""
    deltas = [({"type": "thinking_delta", "thinking": piece}, 1, Phase.CONTENT) for piece in completion.reasoning]
    signed = {"type": "signature_delta", "signature": signature(text)}
    if asked.wants_summary:
        deltas.append((signed, 0, Phase.OUTPUT))
    else:
        deltas = [(signed, completion.reasoning_tokens, Phase.OUTPUT)]
    whole = {"type": "thinking", "thinking": text, "signature": signature(text)}
    return _Block(whole, whole | {"thinking": "", "signature": ""}, deltas)


def _stop(completion: Completion, behaviour: Behaviour) -> Json:
    """Why it stopped."""
    choice = completion.choices[0]
    details = None
    if behaviour.finish:
        reason = behaviour.finish
    elif choice.declined:
        reason = "refusal"
        details = {"type": "refusal", "category": "general_harms", "explanation": None}
    elif choice.tool_calls:
        reason = "tool_use"
    elif choice.cut_short:
        reason = "max_tokens"
    else:
        reason = "stop_sequence" if choice.stopped_by else "end_turn"
    sequence = choice.stopped_by if reason == "stop_sequence" else None
    return {"stop_reason": reason, "stop_sequence": sequence, "stop_details": details}


def _usage(asked: Asked, completion: Completion, tier: str) -> Json:
    """Usage: input tokens here are those that were neither read from a cache nor written to it."""
    cached, written = completion.cached_tokens, completion.cache_write_tokens
    return {
        "input_tokens": completion.input_tokens - cached - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": completion.output_tokens,
        "output_tokens_details": {"thinking_tokens": completion.reasoning_tokens},
        "service_tier": anthropic.served(tier),
        "inference_geo": asked.body.get("inference_geo") or "global",
        "speed": asked.body.get("speed") or "standard",
    }
