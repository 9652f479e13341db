"""Usage: totals, groups, rows, one request with its attempts. The rule: filters are the store's; times come as text."""

from datetime import UTC, datetime
from typing import get_args

import msgspec
from starlette.requests import Request

from appliance.domain.errors import CallerFault
from appliance.domain.record import RequestRecord
from appliance.policy.account import plan_line
from appliance.server.admin.desk import Caller, Desk, view
from appliance.store.faults import UnknownRow
from appliance.store.usage import MOST_DIGITS, GroupBy, UsageFilter, UsageTotals

MOST_ROWS = 1000
_KNOWN = frozenset("since until key model tier group limit before".split())


async def show_usage(desk: Desk, caller: Caller, request: Request) -> object:
    """GET /admin/v1/usage: `since`, `until` (Unix seconds or RFC 3339), `key`, `model`, `tier`, `group`, `limit`,
    `before` (a page's `next`).
    """
    asked = request.query_params
    if unknown := sorted(set(asked) - _KNOWN):
        raise CallerFault("bad_request", f"There is no filter named {unknown[0][:40]!r}.")
    which = UsageFilter(
        organisation_id=caller.organisation_id,
        since_unix_us=_time(asked.get("since")),
        until_unix_us=_time(asked.get("until")),
        key_id=_key(desk, caller, asked.get("key")),
        model=asked.get("model"),
        tier=asked.get("tier"),
    )
    group, limit = asked.get("group"), asked.get("limit", "100")
    if group is not None and group not in get_args(GroupBy):
        raise CallerFault("bad_request", f"group is one of {', '.join(get_args(GroupBy))}.")
    if not limit.isascii() or not limit.isdigit() or len(limit) > MOST_DIGITS or int(limit) > MOST_ROWS:
        raise CallerFault("bad_request", f"limit is a number up to {MOST_ROWS}.")
    usage = desk.store.usage
    try:
        page = await usage.page_of(_told, which, limit=int(limit), before=asked.get("before"))
    except ValueError:
        raise CallerFault("bad_request", "before is the `next` of a page.") from None
    answer: dict[str, object] = {
        "totals": _totals(await usage.totals(which)),
        "requests": page.requests,
        "next": page.next,
    }
    if group is not None:
        answer["groups"] = [_totals(row) for row in await usage.groups(which, group)]  # type: ignore[arg-type]
    return answer


async def show_request(desk: Desk, caller: Caller, request: Request) -> object:
    """GET /admin/v1/usage/{request_id}."""
    detail = await desk.store.usage.request(request.path_params["request_id"], organisation_id=caller.organisation_id)
    if detail is None:
        raise UnknownRow("there is no such request (yet: a row follows its answer by some milliseconds)")
    row, planned = detail.request, detail.request.forecast
    return {
        "request": view(row),
        "attempts": [view(attempt) for attempt in detail.attempts],
        "plan": None if planned is None else plan_line(planned, row.window_s, row.finish_s),
    }


def _told(record: RequestRecord) -> msgspec.Raw:
    """As JSON at once: a thousand rows as objects take 4 MB, and made in the event loop they would hold it up."""
    return msgspec.Raw(msgspec.json.encode(view(record)))


def _totals(totals: UsageTotals) -> dict[str, object]:
    return view(totals) | {"saved_nanos": totals.saved_nanos}


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromtimestamp(float(text), UTC) if _number(text) else datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1e6)
    except (ValueError, OverflowError, OSError):
        raise CallerFault("bad_request", "A time is Unix seconds or RFC 3339, such as 2026-01-31T12:00:00Z.") from None


def _number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _key(desk: Desk, caller: Caller, named: str | None) -> str | None:
    """The id of a key given by id, public id or name; what is unknown is passed on and finds nothing."""
    for key in desk.store.api_keys.list(caller.organisation_id):
        if named in (key.key_id, key.public_id, key.name):
            return key.key_id
    return named
