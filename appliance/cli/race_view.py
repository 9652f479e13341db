"""Draws a recorded request: what happened when, and what it cost. For `try`, `demo` and `usage --request`."""

from typing import Any

from appliance.cli.output import dollars, seconds

BAR_CHARS = 40
WAITING, ANSWERING, STARTS, CLOSED = "─", "━", "●", "✕"


def bars(detail: dict[str, Any]) -> list[str]:
    """One line per attempt: when it ran, `●` where its answer began, `✕` where it was closed without one."""
    attempts = detail["attempts"]
    whole_s = max([attempt["end_s"] for attempt in attempts] + [1e-9])
    width = max((len(tier(attempt)) for attempt in attempts), default=0)
    return [f"{tier(attempt):<{width}}  {_bar(attempt, whole_s)}  {told(attempt)}" for attempt in attempts]


def tier(attempt: dict[str, Any]) -> str:
    """The tier that was asked for."""
    return attempt["tier_sent"] or "no tier"


def _bar(attempt: dict[str, Any], whole_s: float) -> str:
    def at(moment_s: float) -> int:
        return min(BAR_CHARS - 1, max(0, int(moment_s / whole_s * BAR_CHARS)))

    begin, end, began = at(attempt["start_s"]), at(attempt["end_s"]), attempt["to_start_s"]
    cells = [" "] * BAR_CHARS
    for place in range(begin, end + 1):
        cells[place] = WAITING if began is None or place < at(began) else ANSWERING
    if attempt["outcome"] != "won":
        cells[end] = CLOSED
    if began is not None:
        cells[at(began)] = STARTS
    return "".join(cells)


def told(attempt: dict[str, Any]) -> str:
    """One attempt in words."""
    outcome, asked = attempt["outcome"], f"asked at {seconds(attempt['start_s'])}"
    match outcome:
        case "won":
            end = f"began its answer at {seconds(attempt['to_start_s'])}: won"
        case "lost" | "cancelled" | "client_gone":
            end = f"closed at {seconds(attempt['end_s'])}: {outcome.replace('_', ' ')}"
        case "detached":
            begun = attempt["to_start_s"]
            seen = f"until {seconds(attempt['end_s'])}: no start" if begun is None else f"started at {seconds(begun)}"
            end = f"lost, left running, {seen}"
        case _:
            why = attempt["provider_code"] or attempt["error_code"] or attempt["status"] or ""
            end = f"{outcome} at {seconds(attempt['end_s'])}{f' ({why})' if why else ''}"
    return f"{asked}, {end}"


def cost_line(request: dict[str, Any]) -> str:
    """What the request cost, and what always-default would have."""
    paid, compared = request["cost_nanos"], request["default_nanos"]
    if paid is None:
        return f"cost not known ({request['cost_state'].replace('_', ' ')})"
    text = f"cost {dollars(paid, 7)}" + (" (estimated)" if request["cost_state"] == "estimated" else "")
    if compared:
        text += f"; always default {dollars(compared, 7)}: {saving(paid, compared)}"
    return text


def saving(paid: int, compared: int) -> str:
    """How much less, or more, was paid, in per cent."""
    if not compared:
        return "–"
    share = round((compared - paid) * 100 / compared)
    return f"{share} % saved" if share >= 0 else f"{-share} % more"
