"""From a request to the playing of its answer: behaviour, fate, completion, dialect.

Rule: everything about an answer is decided before the first byte of it is sent.
"""

import math
from collections import Counter
from typing import Any, Final

import msgspec
import trio

from appliance.simulator.completion import complete, digest
from appliance.simulator.connection import Connection, Headers, Request
from appliance.simulator.dialect import Dialect, Route
from appliance.simulator.fate import Fate, decide
from appliance.simulator.faults import Rejected, invalid
from appliance.simulator.headers import forbidden, is_gateway_field
from appliance.simulator.interaction_store import InteractionStore
from appliance.simulator.journal import Entry, Journal
from appliance.simulator.override import (
    HEADER,
    METADATA_FIELDS,
    METADATA_KEY,
    BadOverride,
    Override,
    parse,
    split_model,
)
from appliance.simulator.player import Player
from appliance.simulator.world import Behaviour, Model, World

_JSON: Final = ("content-type", "application/json")


class Answering:
    """Answers inference requests for one world; counts the requests per model and tier."""

    def __init__(self, world: World, journal: Journal, *, seed: int, time_scale: float) -> None:
        self.began = 0.0
        self._world = world
        self._journal = journal
        self._seed = seed
        self._time_scale = time_scale
        self.kept = InteractionStore()
        self._counts: Counter[tuple[str, str]] = Counter()

    async def answer(self, connection: Connection, request: Request, entry: Entry, route: Route) -> None:
        """Answer one request and fill in its journal entry. Raises Rejected (to be sent as it is) or Broken."""
        arrived = trio.current_time()
        family = route.family
        if route.dialect is None and route.plain is None:
            raise Rejected(family.FAULTS["not_found"])
        if request.method != "POST":
            raise Rejected(family.FAULTS["method_not_allowed"])
        body = _decode(request, route.given)
        entry.forbidden = forbidden(request.headers, body, family.CREDENTIALS, request.target)
        name, in_model = split_model(body["model"])
        entry.model = body["model"]
        entry.streamed = body.get("stream") is True
        found = self._world.find(name, family.NAME)
        tier, entry.tier_asked = family.tier(body, frozenset(found[1].tiers if found is not None else ()))
        try:
            override = parse(",".join((in_model, _in_metadata(body), request.header(HEADER))), tier)
        except BadOverride as error:
            raise invalid(f"Bad simulator override: {error}", "x-simulator") from error
        entry.mark = override.mark
        for field in body:
            if is_gateway_field(field):
                raise invalid(f"Unknown parameter: '{field}'.", field, "unknown_parameter")
        if found is None:
            raise Rejected(family.FAULTS["model_not_found"])
        behaviour, fate = self._decide(route, *found, tier, override)
        player = Player(
            connection, self._journal, entry, behaviour, fate,
            arrived=arrived, began=self.began, time_scale=self._time_scale,
        )  # fmt: skip
        served = "default" if fate.downgraded else tier
        ids = digest(self._seed, body, tier).hex() + str(fate.ordinal)
        answer = _Answer(player, entry, behaviour, fate, route, f"req_{ids[:32]}", served)
        if fate.refused:
            await answer.refuse(behaviour.refusal, behaviour.refusal_after_s)
        elif route.plain is not None:
            told, entry.usage = route.plain(body, found[1], self._seed)
            await player.whole([_JSON, *answer.headers()], msgspec.json.encode(told), contents=0)
        elif route.dialect is not None:
            await self._converse(route.dialect, answer, body, override, tier)

    def _decide(self, route: Route, key: str, model: Model, tier: str, override: Override) -> tuple[Behaviour, Fate]:
        """The behaviour that counts for this request, with its overrides, and its fate."""
        behaviour = model.tiers.get(tier)
        if behaviour is None:
            raise invalid(f"This model has no service tier '{tier}'.", "service_tier", "unsupported_value")
        counted = f"{key} {route.name}" if route.name else key  # other calls must not shift the fates of answers
        ordinal = self._counts[counted, tier]
        self._counts[counted, tier] += 1
        try:
            if behaviour.script:
                behaviour = parse(behaviour.script[ordinal % len(behaviour.script)], tier).apply(behaviour)
            behaviour = override.apply(behaviour)
        except BadOverride as error:
            raise invalid(f"Bad simulator override: {error}", "x-simulator") from error
        for fault in (behaviour.refusal, behaviour.error):
            if fault not in route.family.FAULTS:
                raise invalid(f"Bad simulator override: no fault is called {fault!r}.", "x-simulator")
        return behaviour, decide(behaviour, seed=self._seed, model=counted, tier=tier, ordinal=ordinal)

    async def _converse(
        self, dialect: Dialect, answer: "_Answer", body: dict[str, Any], override: Override, tier: str
    ) -> None:
        """A conversation, streamed or not."""
        behaviour, fate, entry, player = answer.behaviour, answer.fate, answer.entry, answer.player
        asked = dialect.read(body)
        entry.media = asked.media
        echoed = behaviour.echo_tier or answer.served
        if behaviour.refuse_stream_options and "stream_options" in body:
            raise invalid("Unknown parameter: 'stream_options'.", "stream_options", "unknown_parameter")
        completion = complete(asked, behaviour, override, seed=self._seed, tier=tier, ordinal=fate.ordinal)
        entry.tier_served = answer.served
        entry.response_id = dialect.ID_PREFIX + completion.id
        if asked.previous and asked.previous not in self.kept:
            raise Rejected(answer.family.FAULTS["not_found"])
        if asked.keep and (asked.stream or fate.error_after_tokens is None):
            told, entry.usage = dialect.body(asked, completion, behaviour, echoed)
            due = player.due(completion.output_tokens)
            script = dialect.script(asked, completion, behaviour, echoed)
            self.kept.keep(told, script, due, background=asked.background)
            if asked.background and not asked.stream:
                told = self.kept.look(told["id"], -math.inf)
                await player.whole([_JSON, *answer.headers()], msgspec.json.encode(told), contents=0, at_once=True)
                return
        if asked.stream:
            early = dialect.EARLY if behaviour.early is None else behaviour.early
            fault, message = answer.family.FAULTS[behaviour.error], behaviour.message
            headers = [("content-type", asked.stream_type), ("cache-control", "no-cache"), *answer.headers()]
            await player.stream(
                headers,
                dialect.script(asked, completion, behaviour, echoed),
                early,
                lambda sequence: dialect.failure(fault, message, asked=asked, completion=completion, sequence=sequence),
            )
        elif fate.error_after_tokens is not None:
            await answer.refuse(behaviour.error, fate.start_s)
        else:
            told, entry.usage = dialect.body(asked, completion, behaviour, echoed)
            contents = completion.output_tokens - completion.reasoning_tokens
            thinks = dialect.THINKS or behaviour.reasoning_field  # as in the stream, else it is part of `start`
            reasoning = completion.reasoning_tokens if thinks else 0
            encoded = msgspec.json.encode(told)
            await player.whole([_JSON, *answer.headers()], encoded, contents=contents, reasoning=reasoning)


class _Answer:
    """One answer in the making: who plays it, and how its provider heads it."""

    def __init__(
        self,
        player: Player,
        entry: Entry,
        behaviour: Behaviour,
        fate: Fate,
        route: Route,
        request_id: str,
        served: str,
    ) -> None:
        self.player = player
        self.entry = entry
        self.behaviour = behaviour
        self.fate = fate
        self.family = route.family
        self._error = route.error
        self.served = served
        self._request_id = request_id

    def headers(self, exhausted_s: float | None = None) -> Headers:
        """The headers of the answer, but its type."""
        processing_s = min(self.fate.start_s, 3600.0)
        told = self.family.headers(self._request_id, processing_s, self.behaviour.echo_tier or self.served)
        return [*told, *self.family.limits(exhausted_s)]

    async def refuse(self, name: str, after_s: float) -> None:
        """The refusal of this name, so many simulated seconds after arrival."""
        fault = self.family.FAULTS[name]
        self.entry.fault = name
        headers = [
            ("content-type", fault.content_type),
            *self.headers(self.behaviour.retry_after_s if fault.retry else None),
        ]
        error = self._error(fault, self.behaviour.message, self._request_id, self.behaviour.retry_after_s)
        await self.player.refuse(fault.status, headers, error, after_s)


def _decode(request: Request, given: dict[str, Any]) -> dict[str, Any]:
    """The body as an object with a model's name in it, and what the URL says. Raises Rejected."""
    if request.header("content-encoding") not in ("", "identity"):
        raise invalid("Content encodings are not understood here.", None, "unsupported_content_encoding")
    try:
        body = msgspec.json.decode(request.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid("We could not parse the JSON body of your request.") from None
    body |= given
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise invalid("you must provide a model parameter", "model", "missing_required_parameter")
    return body


def _in_metadata(body: dict[str, Any]) -> str:
    for field in METADATA_FIELDS:
        metadata = body.get(field)
        text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
        if isinstance(text, str):
            return text
    return ""
