"""Tells a caller all that is known of one of its requests (`GET /v1/requests/{id}`). The rule: its own key's alone.

What is not known for certain yet is said so: a request in work is told as far as it is, one that ended a moment ago is
waited for, since its row follows its answer by some milliseconds.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import trio

from appliance.domain.errors import ApplianceFault, CallerFault
from appliance.domain.identity import ApiKey
from appliance.domain.money import usd
from appliance.domain.record import PLAN_WORDS, REASONS, AttemptRecord, Forecast, RequestRecord
from appliance.policy.account import moments, plan_line
from appliance.policy.prices import PriceTable
from appliance.request.call import Call
from appliance.request.settle import settled_record
from appliance.request.work import Work
from appliance.store.ports import Records

LOOKS_S = (0.0, 0.1, 0.4)
"""Pauses before the looks into the database for a request that may not be there yet."""

READ_S = 5.0
"""A database that takes longer than this, those who wait before included, is not asked any more."""

_ID = re.compile(r"req_[0-9a-f]{26}", re.ASCII)


class Accounts:
    """Reads and writes accounts. `live`: the requests in work."""

    def __init__(self, records: Records, live: Mapping[Call, Work], prices: PriceTable) -> None:
        self._records = records
        self._live = live
        self._prices = prices

    async def body(self, key: ApiKey, request_id: str) -> bytes:
        """The account as JSON. Raises CallerFault("request_not_found"), ApplianceFault("store_unavailable")."""
        if not _ID.fullmatch(request_id):
            raise CallerFault("request_not_found")
        for pause_s in LOOKS_S:
            if pause_s:
                await trio.sleep(pause_s)
            if (told := self._in_work(key, request_id) or await self._recorded(key, request_id)) is not None:
                return msgspec.json.encode(told)
        raise CallerFault("request_not_found")

    def _in_work(self, key: ApiKey, request_id: str) -> dict[str, Any] | None:
        work = next((work for call, work in self._live.items() if call.request_id == request_id), None)
        if work is None or work.settled or work.call.key.key_id != key.key_id:
            return None
        settled = settled_record(work, self._prices, trio.current_time())
        running = frozenset(one.ordinal for one in work.attempts if one.end == "running")
        return account(settled.request, settled.attempts, running, state="running")

    async def _recorded(self, key: ApiKey, request_id: str) -> dict[str, Any] | None:
        try:
            with trio.fail_after(READ_S):
                detail = await self._records.request(request_id, organisation_id=key.organisation_id)
        except trio.TooSlowError:
            raise ApplianceFault("store_unavailable") from None
        if detail is None or detail.request.key_id != key.key_id:
            return None
        return account(detail.request, detail.attempts)


def account(
    request: RequestRecord,
    attempts: tuple[AttemptRecord, ...],
    running: frozenset[int] = frozenset(),
    state: str | None = None,
) -> dict[str, Any]:
    """The account as a JSON object (docs/account.md). `running`: attempts that have not ended, by ordinal.

    Where the provider is stays with the operator.
    """
    in_work = state == "running"
    if state is None:
        state = "interrupted" if request.error_code == "interrupted" else "ended"
    return {
        "object": "startline.request",
        "id": request.request_id,
        "state": state,
        "at_unix_s": request.at_unix_us / 1e6,
        "endpoint": request.endpoint,
        "dialect": request.dialect,
        "stream": request.streamed,
        "asked": {
            "model": request.model_asked,
            "preset": request.preset,
            "start_within": request.tier_asked,
            "start_target": request.target,
            "finish_within_s": request.finish_s,
        },
        "answer": None if in_work else _answer(request),
        "plan": None if request.forecast is None else plan_view(request.forecast, request.window_s, request.finish_s),
        "events": [
            {"at_s": _rounded(moment.at_s), "event": moment.event, "attempt": moment.attempt, "why": moment.why}
            for moment in moments(request, attempts, running)
        ],
        "attempts": [_attempt(one, one.ordinal in running) for one in attempts],
        "cost": None if in_work else _cost(request, attempts),
    }


def _answer(request: RequestRecord) -> dict[str, Any]:
    tokens = request.tokens
    return {
        "status": request.status,
        "error": request.error_code,
        "provider": request.provider,
        "model": request.model_dispatched,
        "tier": request.tier_served or request.tier_sent,
        "reason": request.reason,
        "why": REASONS.get(request.reason or ""),
        "started_s": _rounded(request.to_start_s),
        "content_s": _rounded(request.to_content_s),
        "total_s": _rounded(request.total_s),
        "overhead_s": _rounded(request.overhead_s),
        "deadline_met": request.deadline_met,
        "finish_met": request.finish_met,
        "client_gone": request.client_gone,
        "retries": request.retries,
        "tokens": {name: getattr(tokens, name) for name in tokens.__struct_fields__},
    }


def plan_view(forecast: Forecast, window_s: float | None, finish_s: float | None = None) -> dict[str, Any]:
    """What was planned and expected, as a JSON object."""
    return {
        "says": plan_line(forecast, window_s, finish_s),
        "word": forecast.why,
        "why": PLAN_WORDS.get(forecast.why),
        "window_s": window_s,
        "finish_s": finish_s,
        "target": forecast.target,
        "chance": _share(forecast.chance),
        "chance_least": _share(forecast.chance_least),
        "observations": round(forecast.samples, 1),
        "rungs": [
            {
                "provider": rung.provider,
                "model": rung.model,
                "tier": rung.tier,
                "launch_s": _rounded(
                    0.0 if place == forecast.first else forecast.launch_s if place == forecast.second else None
                ),
            }
            for place, rung in enumerate(forecast.rungs)
        ],
        "replanned": [{"at_s": _rounded(at_s), "launch_s": _rounded(then_s)} for at_s, then_s in forecast.replans],
        "expected_tokens": {"input": forecast.input_tokens, "output": forecast.output_tokens},
        "expected_usd": dollars(forecast.cost_nanos),
        "expected_default_usd": dollars(forecast.default_nanos),
    }


def _attempt(attempt: AttemptRecord, running: bool) -> dict[str, Any]:
    tokens = attempt.tokens
    return {
        "attempt": attempt.ordinal,
        "provider": attempt.provider,
        "model": attempt.model,
        "tier": attempt.tier_sent,
        "tier_served": attempt.tier_served,
        "outcome": "running" if running else attempt.outcome,
        "launched_s": _rounded(attempt.start_s),
        "started_s": _rounded(attempt.to_start_s),
        "ended_s": None if running or attempt.runs_on else _rounded(attempt.end_s),
        "cancel_cause": attempt.cancel_cause,
        "status": attempt.status,
        "error": attempt.error_code,
        "provider_code": attempt.provider_code,
        "retries": attempt.retries,
        "tokens": None if running else {name: getattr(tokens, name) for name in tokens.__struct_fields__},
        "cost_usd": None if running else dollars(attempt.cost_nanos),
        "cost_state": None if running else attempt.cost_state,
    }


def _cost(request: RequestRecord, attempts: Iterable[AttemptRecord]) -> dict[str, Any]:
    others = [one.cost_nanos for one in attempts if one.outcome != "won"]
    known = [nanos for nanos in others if nanos is not None]
    paid, default = request.cost_nanos, request.default_nanos
    return {
        "usd": dollars(paid),
        "state": request.cost_state,
        "beside_answer_usd": dollars(sum(known)) if len(known) == len(others) else None,
        "always_default_usd": dollars(default),
        "saved_usd": None if paid is None or default is None else dollars(default - paid),
    }


def dollars(nanos: int | None) -> str | None:
    """Money as a decimal text, None where it is not known."""
    return None if nanos is None else usd(nanos)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _share(probability: float) -> float:
    return round(probability, 6)
