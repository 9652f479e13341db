"""What is paid to keep knowing: losers left running, and skipped cheap rungs tried. The rule: a purse, never overdrawn.

A policy sees only what its own decisions let it see (deadline-policy, censoring). Losers that are cut off hide the
tail; a cheap rung that is skipped hides everything, so a policy that skips it would never find out that it should not.
So a share of all that is spent goes into a purse, less of it as more is known, and a purse that suffices pays for the
next look. No chance is involved: whether one looks depends on what was spent, never on how long this attempt will yet
take, so what is seen is not biased.

Where an abandoned attempt is billed in full anyway, leaving it running costs nothing and is always done.

A purse outlives the process (`KeptPurse`), or each start would spend the advance anew.
"""

from math import isfinite

import msgspec

from appliance.policy.launch import Candidate, Decision
from appliance.policy.survival import Curve

SHARE = 0.01
"""Of all that is spent at most so much goes into looking..."""

ADVANCE = 5.0
"""...with so many of the dearest answers in advance, which is also the most that the purse holds."""

UNKNOWN = 0.3
"""A relative error of the tail from which on the whole share is put aside; below it falls with the variance."""

LEAST_NEED = 0.1
"""What is always put aside: the world changes."""

LEAST_NEED_SKIPPED = 0.5
"""The same for a rung that is skipped: of that one nothing else is seen."""


class KeptPurse(msgspec.Struct, frozen=True, array_like=True):
    """A purse as it is saved: whose it is, whether it is in money, the most it can hold, what it holds, and what was
    spent on requests and on looks, all in its unit.
    """

    organisation_id: str
    priced: bool
    most: float
    holds: float
    spent: float
    used: float


class Exploration:
    """One purse, in any one unit of cost. `dearest`: the price of an answer of the dearest rung."""

    __slots__ = ("_most", "_purse", "_share", "spent", "used")

    def __init__(self, dearest: float, share: float = SHARE) -> None:
        self._share = share
        self._most = ADVANCE * dearest if share > 0.0 else 0.0
        self._purse = self._most
        self.spent = 0.0
        self.used = 0.0

    @classmethod
    def taken_up(cls, kept: KeptPurse) -> "Exploration":
        """A saved purse as it was: there is no advance again. A number that can be none counts as 0."""
        most, holds, spent, used = [n if isfinite(n) else 0.0 for n in (kept.most, kept.holds, kept.spent, kept.used)]
        purse = cls(0.0)
        purse._most = max(most, 0.0)
        purse._purse = min(holds, purse._most)
        purse.spent, purse.used = spent, used
        return purse

    def kept(self, organisation_id: str, priced: bool) -> KeptPurse:
        """The purse, to be saved. What is taken for looks that have not ended is not in it."""
        return KeptPurse(organisation_id, priced, self._most, self._purse, self.spent, self.used)

    def paid(self, cost: float, need: float) -> None:
        """So much was spent on a request; `need` between 0 and 1, of `need` for what it left unknown."""
        self.spent += cost
        self._purse = min(self._purse + self._share * cost * need, self._most)

    def leave_running(self, loser: Candidate) -> bool:
        """Whether this loser, silent still, runs on to the deadline; if so it is charged."""
        return self._take(loser.cost * (1.0 - loser.abandoned_share))

    def try_beside(self, decision: Decision, rungs: tuple[Candidate, ...]) -> int | None:
        """Which skipped cheap rung is started beside the first one all the same, now; if any it is charged."""
        skipped = decision.second is None and decision.first > 0
        return 0 if skipped and self._take(rungs[0].cost) else None

    def refund(self, cost: float) -> None:
        """So much less than was charged did a look cost: it was refused, won, or was silent to the deadline."""
        self.used -= cost
        self._purse = min(self._purse + cost, self._most)

    def take(self, cost: float) -> bool:
        """Whether a look that may cost so much is paid for; refund what it did not come to."""
        return self._take(cost)

    def seen(self, dearest: float) -> None:
        """An answer may cost so much: from now on the purse can hold what several of those cost."""
        if self._share > 0.0:
            self._most = max(self._most, ADVANCE * dearest)

    def _take(self, cost: float) -> bool:
        if self._purse < cost or self._share <= 0.0:
            return False
        self._purse -= cost
        self.used += cost
        return True


class Look:
    """What was taken from a purse, so that an attempt may be left running: the price of its whole answer."""

    __slots__ = ("_priced", "_purse", "_share", "_taken")

    def __init__(self, purse: Exploration, taken: float, share: float, priced: bool) -> None:
        self._purse = purse
        self._taken = taken
        self._share = share
        self._priced = priced

    def came_to(self, started: bool, nanos: int | None) -> None:
        """It cost so much, if it has started; silent to its end it costs what it would have cost cut off. Once only.

        What is not known is taken for the whole price; a call that was cut off in the queue for nothing.
        """
        cost = 0.0
        if started:
            cost = self._taken * self._share
            if self._priced:
                cost = self._taken if nanos is None else min(float(nanos), self._taken)
        self._purse.refund(self._taken - cost)
        self._taken = 0.0


def need(cheap: Curve, window_s: float, skipped: bool) -> float:
    """How much of the share is worth putting aside, 0 to 1: the tail's variance beside the one that is good enough."""
    late = cheap.late_at(window_s)
    relative = cheap.error_at(window_s) / max(late, 1e-6)
    return max(min((relative / UNKNOWN) ** 2, 1.0), LEAST_NEED_SKIPPED if skipped else LEAST_NEED)
