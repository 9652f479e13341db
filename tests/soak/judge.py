"""Do rows and providers say the same as the clients did? Who left, when the provider heard of it, and what it cost.

The rule: rows are read from the database, and nothing here uses the project's own arithmetic but its words.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from appliance.simulator.journal import Entry
from tests.bench.figures import quantile
from tests.soak.client import Left
from tests.soak.plans import Moment

Row = dict[str, Any]
QUIET_S = 0.003
"""A machine is quiet on which this is the worst delay but one in a hundred, with no gateway between."""

LATE_S = 0.5
"""A client that is gone and is taken for one that was answered must have been answered by then."""


class Told(NamedTuple):
    """What the database has of one request."""

    request: Row
    attempts: list[Row]


class Delay(NamedTuple):
    """From a client's leaving to its provider's hearing of it. `started`: whether the provider had begun to answer."""

    seconds: float
    started: bool
    left: Left


def rows(database: Path, since: str) -> dict[tuple[str, int], Told]:
    """The requests after the one named, by key and length of the body."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.setbusytimeout(10_000)
        connection.row_trace = lambda cursor, row: dict(
            zip([column[0] for column in cursor.description], row, strict=True)
        )
        found: dict[str, Told] = {}
        for request in connection.execute("SELECT * FROM requests WHERE request_id > ?", (since,)):
            found[request["request_id"]] = Told(request, [])
        for attempt in connection.execute("SELECT * FROM attempts WHERE request_id > ? ORDER BY 1, 2", (since,)):
            found[attempt["request_id"]].attempts.append(attempt)
    finally:
        connection.close()
    return {(told.request["key_id"], told.request["received_bytes"]): told for told in found.values()}


class Judge:
    """Takes what clients did, what providers saw and what was recorded, and keeps what does not fit."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.delays: list[Delay] = []
        self.noise_s: list[float] = []
        self.quiet: list[Delay] = []
        """The delays between two pauses in which providers of their own heard of clients soon."""
        self.counts: Counter[str] = Counter()

    def hear(
        self, lefts: Iterable[Left], seen: dict[str, list[tuple[Entry, float]]], told: dict[Any, Told], *, quiet: bool
    ) -> None:
        """Judge the requests between two pauses."""
        unclaimed = dict(told)
        known = len(self.delays)
        for left in lefts:
            row = unclaimed.pop((left.key_id, left.plan.body_bytes), None)
            entries = seen.get(left.plan.mark, [])
            self.counts[f"{left.plan.moment.name} {left.plan.lane}"] += 1
            problem = left.fault or self._one(left, entries, row)
            if problem:
                self._object(problem, left, entries, row)
        for row in unclaimed.values():
            self.faults.append(f"a row that nobody asked for: {row.request}")
        if quiet:
            self.quiet += self.delays[known:]

    def direct(self, left_s: dict[str, float], seen: dict[str, list[tuple[Entry, float]]]) -> bool:
        """Take note of how long providers needed to hear of clients of their own: whether the machine was quiet."""
        noise_s = [
            began_s + entry.gone_s - gone_s
            for mark, gone_s in left_s.items()
            for entry, began_s in seen.get(mark, [])
            if entry.gone_s is not None
        ]
        self.noise_s += noise_s
        return bool(noise_s) and quantile(noise_s, 0.99) < QUIET_S

    def _object(self, problem: str, left: Left, entries: list[tuple[Entry, float]], row: Told | None) -> None:
        self.counts["faults"] += 1
        if len(self.faults) < 50:
            shown = [
                (e.tier_asked, e.outcome, e.status, began_s + (e.gone_s or e.ended_s or 0) - (left.left_s or 0))
                for e, began_s in entries
            ]
            self.faults.append(f"{problem}\n  {left}\n  providers {shown}\n  row {row}")

    def _one(self, left: Left, entries: list[tuple[Entry, float]], row: Told | None) -> str:
        plan = left.plan
        if plan.silent:
            if row is not None or entries:
                return "a request that never was whole was recorded, or sent on"
            return ""
        if row is None:
            if entries or left.saw_bytes or plan.moment is Moment.STAYS:
                return "a request has no row"
            self.counts["left before the request was read"] += 1
            return ""
        if len(entries) > len(row.attempts):
            return "the provider saw more than was recorded"
        seen_to_their_start = {attempt["tier_sent"] for attempt in row.attempts if attempt["outcome"] == "detached"}
        for entry, began_s in entries:
            if entry.outcome == "open":
                return "the provider still works for it"
            if entry.tier_asked in seen_to_their_start:
                self.counts["losers left running"] += 1
            elif left.left_s is not None and entry.gone_s is not None and entry.outcome == "client_gone":
                delay_s = began_s + entry.gone_s - left.left_s
                if delay_s > 0:  # else it had lost its race, or failed, before
                    self.delays.append(Delay(delay_s, entry.head_s is not None, left))
        return self._who(left, row) or self._cost(row, entries)

    def _who(self, left: Left, row: Told) -> str:
        request, attempts = row
        gone = bool(request["client_gone"])
        self.counts["rows that say that the client left" if gone else "rows of requests that ended"] += 1
        if left.plan.moment is Moment.STAYS and (gone or request["status"] != left.status):
            return "a client that stayed is recorded otherwise"
        if left.plan.moment is Moment.END and gone:
            return "a client that had its whole answer is said to have left"
        if gone:
            if request["error_code"] != "client_gone":
                return "the client left, but the row names another fault"
            if (request["status"] == 499) == bool(request["sent_bytes"]):
                return "the status of a client that left"
            for attempt in attempts:
                if attempt["outcome"] not in ("client_gone", "lost", "detached", "refused", "failed", "won"):
                    return f"an attempt of a client that left is {attempt['outcome']}"
                if attempt["outcome"] == "client_gone" and attempt["cancel_cause"] != "client_gone":
                    return "an attempt ended with its client, and its cause is another"
        elif left.left_s is not None and left.sent_s is not None:
            late_s = left.sent_s + request["total_s"] - left.left_s
            if late_s > LATE_S:
                return f"an answer ended {late_s:.3f} s after its client had left, and nobody noticed"
        return ""

    def _cost(self, row: Told, entries: list[tuple[Entry, float]]) -> str:
        request, attempts = row
        costs = [attempt["cost_nanos"] for attempt in attempts]
        if None in costs or sum(costs) != (request["cost_nanos"] or 0):
            return "the cost of the request is not that of its attempts"
        heard = Counter(entry.tier_asked for entry, _ in entries)
        for attempt in attempts:
            if attempt["outcome"] in ("client_gone", "lost", "detached") and heard[attempt["tier_sent"]]:
                # What was sent whole is estimated, since its provider may bill it.
                if attempt["cost_state"] not in ("estimated", "known") or attempt["cost_nanos"] <= 0:
                    return "an attempt that its provider worked for is said to cost nothing"
            elif attempt["outcome"] == "won" and (attempt["cost_state"] != "known" or attempt["cost_nanos"] <= 0):
                return "an answer costs nothing"
        return ""
