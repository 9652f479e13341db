"""Gemini's generateContent: the answer as one response or as a stream of them, and the counting of tokens.

Rule: both forms are made from one Completion; a chunk is a whole response that holds what is new, with usage so far.
Without `alt=sse` the stream is one JSON array. Source of the shapes: the SDK's `types.GenerateContentResponse`,
`types.Candidate`, `types.Part` and `types.GenerateContentResponseUsageMetadata`.
"""

from typing import Any, Final

import msgspec

from appliance.simulator import gemini, generate_content_reading
from appliance.simulator.completion import Asked, Choice, Completion, input_tokens, logprob
from appliance.simulator.faults import Fault
from appliance.simulator.generate_content_reading import signature
from appliance.simulator.script import Phase, Script, Step, sse
from appliance.simulator.world import Behaviour, Model

Json = dict[str, Any]

ID_PREFIX: Final = ""
EARLY: Final = False
THINKS: Final = True


def read(body: Json) -> Asked:
    """The request as the simulator understands it. Raises Rejected (400) where Google would."""
    return generate_content_reading.read(body)


def count(body: Json, model: Model, seed: int) -> tuple[Json, Json | None]:
    """`:countTokens` of `contents`, or of a whole `generateContentRequest`."""
    whole = body.get("generateContentRequest", body.get("generate_content_request"))
    given = {name: part for name, part in body.items() if name not in ("stream", "alt")}
    if isinstance(whole, dict):
        given = whole | {"model": body["model"]}
    tokens = input_tokens(read(given))
    return {"totalTokens": tokens, "promptTokensDetails": _text(tokens)}, None


def body(asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> tuple[Json, Json | None]:
    """The unstreamed answer, and the usage it tells (None if it tells none)."""
    usage = _usage(completion, completion.reasoning_tokens, _tokens(completion))
    if behaviour.block:
        usage = _usage(completion, 0, 0)
        return _response(asked, completion, [], usage) | _blocked(behaviour), usage
    candidates = []
    for index, choice in enumerate(completion.choices):
        parts = ([] if index else _thoughts(asked, completion)) + _parts(choice)
        candidates.append(_candidate(asked, index, choice, parts, choice.pieces, _finish(choice, behaviour)))
    told = None if behaviour.omit_usage else usage
    return _response(asked, completion, candidates, told), told


def script(asked: Asked, completion: Completion, behaviour: Behaviour, tier: str) -> Script:
    """The streamed answer: thoughts, text and calls in chunks, then the reasons to finish and the usage."""
    steps: list[tuple[Phase, Json, int]] = []
    thought = spoken = 0

    def chunk(phase: Phase, candidates: list[Json], tokens: int = 0) -> None:
        usage = None if behaviour.omit_usage else _usage(completion, thought, spoken)
        steps.append((phase, _response(asked, completion, candidates, usage), tokens))

    if behaviour.block:
        blocked, usage = body(asked, completion, behaviour, tier)
        return _framed(asked, [(Phase.CLOSING, blocked, 0)], usage)
    if asked.wants_summary:
        for piece in completion.reasoning:
            thought += 1
            part = {"text": piece, "thought": True}
            chunk(Phase.CONTENT, [_candidate(asked, 0, completion.choices[0], [part])], 1)
    # Thoughts that are not shown take their time before the first words.
    silent = completion.reasoning_tokens - thought
    thought = completion.reasoning_tokens
    for position in range(max(len(choice.pieces) for choice in completion.choices)):
        for index, choice in enumerate(completion.choices):
            if position < len(choice.pieces) and not choice.declined:
                piece = choice.pieces[position]
                spoken += 1
                chunk(Phase.CONTENT, [_candidate(asked, index, choice, [{"text": piece}], (piece,))], 1 + silent)
                silent = 0
    for index, choice in enumerate(completion.choices):
        for part, call in zip(_parts(choice)[bool(choice.pieces) :], choice.tool_calls, strict=False):
            spoken += len(call.fragments)
            chunk(Phase.CONTENT, [_candidate(asked, index, choice, [part])], len(call.fragments) + silent)
            silent = 0
    for index, choice in enumerate(completion.choices):
        last = [] if choice.declined else [{"text": ""}]
        chunk(Phase.CLOSING, [_candidate(asked, index, choice, last, (), _finish(choice, behaviour))], silent)
        silent = 0
    final = None if behaviour.omit_usage else _usage(completion, completion.reasoning_tokens, _tokens(completion))
    return _framed(asked, steps, final)


def failure(fault: Fault, message: str, *, asked: Asked, completion: Completion, sequence: int) -> list[bytes]:
    """What a stream says that fails after its 200: an error where a response would be, and nothing after it."""
    told = gemini.told(fault, message)
    if asked.stream_type == "text/event-stream":
        return [sse(told)]
    return [(b",\r\n" if sequence else b"[") + msgspec.json.encode(told) + b"]"]


def _framed(asked: Asked, chunks: list[tuple[Phase, Json, int]], usage: Json | None) -> Script:
    """The chunks as server-sent events, or as the elements of an array."""
    if asked.stream_type == "text/event-stream":
        return Script(tuple(Step(phase, sse(told), tokens) for phase, told, tokens in chunks), usage)
    steps = []
    for number, (phase, told, tokens) in enumerate(chunks):
        data = (b",\r\n" if number else b"[") + msgspec.json.encode(told)
        steps.append(Step(phase, data + (b"]" if number == len(chunks) - 1 else b""), tokens))
    return Script(tuple(steps), usage)


def _response(asked: Asked, completion: Completion, candidates: list[Json], usage: Json | None) -> Json:
    told: Json = {"candidates": candidates} if candidates else {}
    if usage is not None:
        told["usageMetadata"] = usage
    return told | {"modelVersion": asked.model, "responseId": completion.id}


def _candidate(
    asked: Asked, index: int, choice: Choice, parts: list[Json], pieces: tuple[str, ...] = (), finish: str = ""
) -> Json:
    told: Json = {"content": {"parts": parts, "role": "model"}} if parts else {}
    if finish:
        told["finishReason"] = finish
    if choice.declined and finish:
        told["safetyRatings"] = [
            {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
        ]
    if asked.top_logprobs is not None and pieces and not choice.declined:
        told |= _logprobs(asked.top_logprobs, pieces)
    return told | {"index": index}


def _thoughts(asked: Asked, completion: Completion) -> list[Json]:
    if not asked.wants_summary or not completion.reasoning:
        return []
    return [{"text": "".join(completion.reasoning), "thought": True}]


def _parts(choice: Choice) -> list[Json]:
    """Text, then calls; the first call carries the signature of the thoughts behind all of them."""
    if choice.declined:
        return []
    parts: list[Json] = [{"text": choice.text}] if choice.pieces or not choice.tool_calls else []
    for number, call in enumerate(choice.tool_calls):
        told = {"name": call.name, "args": msgspec.json.decode(call.arguments), "id": call.id}
        parts.append({"functionCall": told} | ({} if number else {"thoughtSignature": signature(call.id)}))
    return parts


def _finish(choice: Choice, behaviour: Behaviour) -> str:
    if behaviour.finish:
        return behaviour.finish
    if choice.declined:
        return "SAFETY"
    return "MAX_TOKENS" if choice.cut_short else "STOP"


def _blocked(behaviour: Behaviour) -> Json:
    return {"promptFeedback": {"blockReason": behaviour.block}}


def _logprobs(top: int, pieces: tuple[str, ...]) -> Json:
    values = [{"token": piece, "tokenId": sum(piece.encode()), "logProbability": logprob(piece)} for piece in pieces]
    told: Json = {"chosenCandidates": values}
    if top:
        told["topCandidates"] = [{"candidates": [value]} for value in values]
    average = sum(logprob(piece) for piece in pieces) / len(pieces)
    return {"logprobsResult": told, "avgLogprobs": average}


def _tokens(completion: Completion) -> int:
    return sum(choice.tokens for choice in completion.choices if not choice.declined)


def _text(tokens: int) -> list[Json]:
    return [{"modality": "TEXT", "tokenCount": tokens}]


def _usage(completion: Completion, thought: int, spoken: int) -> Json:
    """Usage: the prompt holds what was cached, the candidates do not hold the thoughts."""
    told: Json = {"promptTokenCount": completion.input_tokens}
    if spoken:
        told["candidatesTokenCount"] = spoken
    told["totalTokenCount"] = completion.input_tokens + spoken + thought
    if completion.cached_tokens:
        told["cachedContentTokenCount"] = completion.cached_tokens
        told["cacheTokensDetails"] = _text(completion.cached_tokens)
    told["promptTokensDetails"] = _text(completion.input_tokens)
    if thought:
        told["thoughtsTokenCount"] = thought
    return told
