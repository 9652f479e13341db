"""From a request to the playing of its answer: behaviour, fate, completion, dialect.

Rule: everything about an answer is decided before the first byte of it is sent.
"""

from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import msgspec
import trio

from appliance.simulator import chat, embeddings, responses
from appliance.simulator.completion import Asked, Completion, complete, digest
from appliance.simulator.connection import Connection, Headers, Request
from appliance.simulator.fate import Fate, decide
from appliance.simulator.faults import FAULTS, Fault, Rejected, invalid
from appliance.simulator.headers import forbidden, is_gateway_field, rate_limits, usual
from appliance.simulator.journal import Entry, Journal
from appliance.simulator.override import HEADER, METADATA_KEY, BadOverride, Override, parse, split_model
from appliance.simulator.player import Player
from appliance.simulator.world import Behaviour, Model, World

_DIALECTS: Final[dict[str, ModuleType]] = {"/v1/chat/completions": chat, "/v1/responses": responses}
_JSON: Final = ("content-type", "application/json")
_SSE: Final = ("content-type", "text/event-stream; charset=utf-8")
# What may be asked for, and which tier that is (the SDK's Literal; `fast` is the newer name of `priority`).
_TIERS: Final = {
    "auto": "default",
    "default": "default",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
    "ultrafast": "priority",
    "scale": "default",
}


class Answering:
    """Answers inference requests for one world; counts the requests per model and tier."""

    def __init__(self, world: World, journal: Journal, *, seed: int, time_scale: float) -> None:
        self.began = 0.0
        self._world = world
        self._journal = journal
        self._seed = seed
        self._time_scale = time_scale
        self._counts: Counter[tuple[str, str]] = Counter()

    async def answer(self, connection: Connection, request: Request, entry: Entry, path: str) -> None:
        """Answer one request and fill in its journal entry. Raises Rejected (to be sent as it is) or Broken."""
        arrived = trio.current_time()
        if path not in _DIALECTS and path != "/v1/embeddings":
            raise Rejected(FAULTS["not_found"])
        if request.method != "POST":
            raise Rejected(FAULTS["method_not_allowed"])
        body = _decode(request)
        entry.forbidden = forbidden(request.headers, body)
        name, in_model = split_model(body["model"])
        entry.model = body["model"]
        entry.streamed = body.get("stream") is True
        tier, asked_tier = _tier(body)
        entry.tier_asked = asked_tier
        try:
            override = parse(",".join((in_model, _in_metadata(body), request.header(HEADER))), tier)
        except BadOverride as error:
            raise invalid(f"Bad simulator override: {error}", "x-simulator") from error
        entry.mark = override.mark
        for field in body:
            if is_gateway_field(field):
                raise invalid(f"Unknown parameter: '{field}'.", field, "unknown_parameter")
        found = self._world.find(name)
        if found is None:
            raise Rejected(FAULTS["model_not_found"])
        behaviour, fate = self._decide(*found, tier, override)
        player = Player(
            connection, self._journal, entry, behaviour, fate,
            arrived=arrived, began=self.began, time_scale=self._time_scale,
        )  # fmt: skip
        ids = digest(self._seed, body, tier).hex() + str(fate.ordinal)
        headers = usual(f"req_{ids[:32]}", min(fate.start_s, 3600.0))
        if fate.refused:
            await self._refuse(player, entry, behaviour, behaviour.refusal, headers, behaviour.refusal_after_s)
        elif path == "/v1/embeddings":
            told, entry.usage = embeddings.answer(body, found[1].dimensions or 256, self._seed)
            await player.whole([_JSON, *headers, *rate_limits()], msgspec.json.encode(told), contents=0)
        else:
            await self._converse(_DIALECTS[path], player, entry, body, behaviour, override, fate, tier, headers)

    def _decide(self, key: str, model: Model, tier: str, override: Override) -> tuple[Behaviour, Fate]:
        """The behaviour that counts for this request, with its overrides, and its fate."""
        behaviour = model.tiers.get(tier)
        if behaviour is None:
            raise invalid(f"This model has no service tier '{tier}'.", "service_tier", "unsupported_value")
        ordinal = self._counts[key, tier]
        self._counts[key, tier] += 1
        try:
            if behaviour.script:
                behaviour = parse(behaviour.script[ordinal % len(behaviour.script)], tier).apply(behaviour)
            behaviour = override.apply(behaviour)
        except BadOverride as error:
            raise invalid(f"Bad simulator override: {error}", "x-simulator") from error
        for fault in (behaviour.refusal, behaviour.error):
            if fault not in FAULTS:
                raise invalid(f"Bad simulator override: no fault is called {fault!r}.", "x-simulator")
        return behaviour, decide(behaviour, seed=self._seed, model=key, tier=tier, ordinal=ordinal)

    async def _refuse(
        self, player: Player, entry: Entry, behaviour: Behaviour, name: str, headers: Headers, after_s: float
    ) -> None:
        fault = FAULTS[name]
        entry.fault = name
        waits = behaviour.retry_after_s if name == "rate_limit_exceeded" else None
        limits = rate_limits(exhausted_s=waits)
        told = [("content-type", fault.content_type), *headers, *limits]
        await player.refuse(fault.status, told, fault.body(behaviour.message), after_s)

    async def _converse(
        self,
        dialect: ModuleType,
        player: Player,
        entry: Entry,
        body: dict[str, Any],
        behaviour: Behaviour,
        override: Override,
        fate: Fate,
        tier: str,
        headers: Headers,
    ) -> None:
        """Chat or Responses, streamed or not."""
        asked: Asked = dialect.read(body)
        if behaviour.refuse_stream_options and "stream_options" in body:
            raise invalid("Unknown parameter: 'stream_options'.", "stream_options", "unknown_parameter")
        completion = complete(asked, behaviour, override, seed=self._seed, tier=tier, ordinal=fate.ordinal)
        served = "default" if fate.downgraded else tier
        entry.tier_served = served
        echoed = behaviour.echo_tier or served
        entry.response_id = ("resp_" if dialect is responses else "chatcmpl-") + completion.id
        if asked.stream:
            early = dialect is responses if behaviour.early is None else behaviour.early
            script = dialect.script(asked, completion, behaviour, echoed)
            fault, message = FAULTS[behaviour.error], behaviour.message
            failure = _failure(dialect, fault, message, asked, completion)
            await player.stream([_SSE, ("cache-control", "no-cache"), *headers, *rate_limits()], script, early, failure)
        elif fate.error_after_tokens is not None:
            await self._refuse(player, entry, behaviour, behaviour.error, headers, fate.start_s)
        else:
            told, entry.usage = dialect.body(asked, completion, behaviour, echoed)
            contents = completion.output_tokens - completion.reasoning_tokens
            thinks = dialect is responses or behaviour.reasoning_field  # as in the stream, else it is part of `start`
            reasoning = completion.reasoning_tokens if thinks else 0
            encoded = msgspec.json.encode(told)
            await player.whole([_JSON, *headers, *rate_limits()], encoded, contents=contents, reasoning=reasoning)


def _failure(
    dialect: ModuleType, fault: Fault, message: str, asked: Asked, completion: Completion
) -> Callable[[int], list[bytes]]:
    if dialect is responses:
        return lambda sequence: responses.failure(fault, message, asked=asked, completion=completion, sequence=sequence)
    return lambda sequence: chat.failure(fault, message)


def _decode(request: Request) -> dict[str, Any]:
    """The body as an object with a model's name in it. Raises Rejected."""
    if request.header("content-encoding") not in ("", "identity"):
        raise invalid("Content encodings are not understood here.", None, "unsupported_content_encoding")
    try:
        body = msgspec.json.decode(request.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid("We could not parse the JSON body of your request.") from None
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise invalid("you must provide a model parameter", "model", "missing_required_parameter")
    return body


def _tier(body: dict[str, Any]) -> tuple[str, str | None]:
    """The tier whose behaviour counts, and the tier as asked for."""
    asked = body.get("service_tier")
    if asked is None:
        return "default", None
    if not isinstance(asked, str) or asked not in _TIERS:
        raise invalid("Invalid value for 'service_tier'.", "service_tier", "invalid_value")
    return _TIERS[asked], asked


def _in_metadata(body: dict[str, Any]) -> str:
    metadata = body.get("metadata")
    text = metadata.get(METADATA_KEY, "") if isinstance(metadata, dict) else ""
    return text if isinstance(text, str) else ""
