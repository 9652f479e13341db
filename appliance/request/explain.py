"""Says what would be done with a request, without sending it (`POST /v1/explain`). The rule: planned by the same code,
and nothing is taken, asked, counted or recorded.

The body is that of the call that is asked about; the query names its endpoint (`?endpoint=messages`), and for Google's
the model, which stands in the path there.
"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
import trio

from appliance.domain.catalog import Rung
from appliance.domain.errors import ApplianceFault, CallerFault
from appliance.domain.record import REASONS, Forecast
from appliance.domain.tier import Window, start_within_text
from appliance.policy.explanation import RUNG_WORDS, Way, told, ways, word
from appliance.policy.foresight import Prospect
from appliance.policy.plan import Plan
from appliance.policy.route import default_rung
from appliance.request.account import dollars, plan_view
from appliance.request.admit import Admitted, Doorkeeper, admit
from appliance.request.bodies import Bodies
from appliance.request.breakers import Breakers
from appliance.request.call import Call
from appliance.request.dialects import DIALECTS
from appliance.request.endpoint import CHAT, GEMINI_ACTIONS, GENERATE, INTERACTIONS, MESSAGES, RESPONSES, Endpoint
from appliance.request.engine import Engine
from appliance.request.plan import Planner
from appliance.request.wishes import Wishes
from appliance.request.work import Work
from appliance.settings import Settings

ENDPOINTS: Final[dict[str, Endpoint]] = {
    "chat.completions": CHAT,
    "responses": RESPONSES,
    "messages": MESSAGES,
    "interactions": INTERACTIONS,
} | {name: one for name, one in GEMINI_ACTIONS.items() if one is GENERATE}
"""What can be asked about, by the name in the query; `chat.completions` is what is meant where there is none."""


def about(query: bytes) -> tuple[Endpoint, str]:
    """The endpoint that a query names, and the argument of its path. Raises CallerFault("bad_request")."""
    try:
        asked = parse_qs(query.decode("ascii"), max_num_fields=16)
    except ValueError:
        raise CallerFault("bad_request", "This query is not understood.") from None
    name = asked.get("endpoint", ["chat.completions"])[0]
    endpoint = ENDPOINTS.get(name)
    if endpoint is None:
        raise CallerFault("bad_request", f"endpoint is one of {', '.join(ENDPOINTS)}.", param="endpoint")
    if endpoint is not GENERATE:
        return endpoint, ""
    model = asked.get("model", [""])[0]
    if not model:
        raise CallerFault("missing_model", "Name the model in the query.", param="model")
    return endpoint, f"{model}:{name}"


def dialect_asked(query: bytes) -> str:
    """The dialect in which such a call is refused."""
    try:
        return about(query)[0].dialect
    except CallerFault:
        return CHAT.dialect


class Explainer:
    """Plans calls, and tells the plan."""

    def __init__(
        self,
        planner: Planner,
        engine: Engine,
        breakers: Breakers,
        doorkeeper: Doorkeeper,
        wishes: Wishes,
        settings: Settings,
        bodies: Bodies,
        unix_s: Callable[[], float],
    ) -> None:
        self._planner = planner
        self._engine = engine
        self._breakers = breakers
        self._doorkeeper = doorkeeper
        self._wishes = wishes
        self._settings = settings
        self._bodies = bodies
        self._unix_s = unix_s

    async def body(self, asking: Call) -> bytes:
        """The explanation as JSON. Raises what the call itself would be refused with before a provider is asked."""
        self._bodies.check()
        endpoint, argument = about(asking.query)
        call = Call(
            endpoint=endpoint,
            argument=argument,
            method=b"POST",
            path=asking.path,
            query=b"",
            headers=asking.headers,
            get=asking.get,
            body=asking.body,
            key=asking.key,
            peer=asking.peer,
            reply=asking.reply,
            scope=asking.scope,
            request_id=asking.request_id,
            arrived_s=asking.arrived_s,
            at_unix_us=asking.at_unix_us,
        )
        work = Work(call)
        work.rehearsed = True
        try:
            plan = await self._plan(call, work)
            return msgspec.json.encode(self._explanation(work, plan))
        finally:
            self._bodies.give_back(call.held_bytes)
            if work.translation is not None:
                work.translation.forget()

    async def _plan(self, call: Call, work: Work) -> Plan:
        """As the gateway's own steps, up to the plan."""
        dialect = work.dialect = DIALECTS[call.endpoint.dialect]
        access = self._doorkeeper.still(call.key, call.peer, self._unix_s)
        work.admitted = await admit(call, dialect, self._wishes, access, self._settings, self._bodies)
        plan = work.plan = self._planner.plan(work)
        if work.translation is not None:
            plan = work.plan = await work.translation.prepare(plan, self._bodies.decompressing)
        return plan

    def _explanation(self, work: Work, plan: Plan) -> dict[str, Any]:
        admitted = work.admitted
        if admitted is None:
            raise ApplianceFault("internal_error")
        hint, forecast, asked = plan.reason_hint, plan.forecast, admitted.asked
        window = admitted.wish if isinstance(admitted.wish, Window) else None
        finish_s = None if window is None else window.finish_s
        return {
            "object": "startline.explanation",
            "endpoint": work.call.endpoint.name,
            "dialect": work.call.endpoint.dialect,
            "asked": {
                "model": asked.model,
                "preset": admitted.preset,
                "start_within": _wish(admitted),
                "start_target": None if window is None else window.target,
                "finish_within_s": finish_s,
            },
            "raced": plan.races,
            "reason": hint,
            "why": None if hint is None else REASONS.get(hint),
            "not_raced_for": asked.why_not_raced if hint == "not_raced" and window is not None else None,
            "plan": None if forecast is None else plan_view(forecast, plan.window_s, finish_s),
            "rungs": self._rungs(work, plan),
            "considered": None if forecast is None else _considered(work.prospect, forecast),
            "always_default_usd": dollars(self._default_nanos(work, plan)),
            "gives_up_s": plan.give_up_s,
        }

    def _default_nanos(self, work: Work, plan: Plan) -> int | None:
        """What the default tier alone is expected to cost."""
        if plan.forecast is not None:
            return plan.forecast.default_nanos
        if work.provider is None or work.model is None:
            return None
        rung = default_rung(work.provider, work.model)
        return self._engine.outlook(work, rung, work.provider, behind=False).cost_nanos

    def _rungs(self, work: Work, plan: Plan) -> list[dict[str, Any]]:
        rows = [
            self._rung(work, planned.rung, word(plan, place), planned.launch_s, plan.window_s)
            for place, planned in enumerate(plan.rungs)
        ]
        rows += [self._rung(work, rung, "breaker_open", None, plan.window_s) for rung in work.skipped]
        unsaid = work.translation.unsaid if work.translation is not None else ()
        return rows + [self._rung(work, rung, "inexpressible", None, plan.window_s) for rung in unsaid]

    def _rung(self, work: Work, rung: Rung, why: str, launch_s: float | None, window_s: float | None) -> dict[str, Any]:
        provider = self._planner.named(work.call.key.organisation_id, rung.provider)
        outlook = self._engine.outlook(work, rung, provider, launch_s is not None and launch_s > 0.0)
        one = told(rung, outlook, why, launch_s, window_s)
        dialect = None
        if work.translation is not None and why != "inexpressible":
            dialect = work.translation.dialect(rung.provider)
        row: dict[str, Any] = {
            "provider": rung.provider,
            "model": rung.model,
            "tier": rung.tier,
            "launch_s": _rounded(launch_s),
            "word": why,
            "why": RUNG_WORDS[why],
            "chance": _rounded(one.chance),
            "chance_at_once": _rounded(one.chance_at_once),
            "starts_s": dict(zip(("p50", "p90", "p99"), map(_rounded, one.starts_s), strict=True)),
            "observations": round(outlook.observations, 1),
            "expected_usd": dollars(outlook.cost_nanos),
            "translated_to": None if dialect is None else dialect.NAME,
        }
        if why == "breaker_open":
            row["asked_again_in_s"] = _rounded(self._breakers.wait_s(provider, rung, trio.current_time()))
        return row


def _wish(admitted: Admitted) -> str:
    return admitted.passed_tier or start_within_text(admitted.wish)


def _considered(prospect: Prospect | None, forecast: Forecast) -> list[dict[str, Any]] | None:
    """The ways that there were. None of them is chosen where something else decided."""
    if prospect is None:
        return None
    decision = prospect.found.decision
    chosen = (decision.first, decision.second) if forecast.why == prospect.found.why else None
    return [_way(way, prospect.ladder, (way.first, way.second) == chosen) for way in ways(prospect.found)]


def _way(way: Way, ladder: tuple[Rung, ...], chosen: bool) -> dict[str, Any]:
    return {
        "first": _named(ladder[way.first]),
        "second": None if way.second is None else _named(ladder[way.second]),
        "launch_s": _rounded(way.launch_s),
        "chance_least": _rounded(way.chance_least),
        "cost": round(way.cost, 4),
        "meets_target": way.meets,
        "chosen": chosen,
    }


def _named(rung: Rung) -> str:
    return f"{rung.provider}/{rung.model}" + (f":{rung.tier}" if rung.tier else "")


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 6)
