"""What each organisation has to spend on looking. The rule: taken before a look, given back what it did not cost.

The purses are policy/exploration.py's; here requests fill them, and pay from them for a skipped cheap rung that is
started all the same, and for a loser that is left running until it starts. One purse is in
nanodollars, one in answers of the second rung, for models without a price. They are saved with what was learned
(services/latency_keeper.py) and found again at the start. There are two for each organisation at most, and
organisations are the operator's to make.
"""

from appliance.domain.money import NANOS_PER_USD
from appliance.domain.record import RequestRecord
from appliance.policy.expense import Expense
from appliance.policy.exploration import Exploration, KeptPurse, Look, need
from appliance.policy.foresight import Prospect
from appliance.request.work import Work


class Purses:
    """One for the process."""

    def __init__(self) -> None:
        self._purses: dict[tuple[str, bool], Exploration] = {}

    def purse(self, organisation_id: str, costs: Expense) -> Exploration:
        """The purse for requests of such costs."""
        nanos = costs.nanos
        dearest = max(costs.costs) if nanos is None else float(max(nanos))
        purse = self._purses.get((organisation_id, nanos is not None))
        if purse is None:
            purse = self._purses[organisation_id, nanos is not None] = Exploration(dearest)
        purse.seen(dearest)
        return purse

    def keep(self) -> tuple[KeptPurse, ...]:
        """All purses, to be saved."""
        return tuple([purse.kept(of, priced) for (of, priced), purse in self._purses.items()])

    def take(self, kept: tuple[KeptPurse, ...]) -> None:
        """Take up the purses of an earlier run, before any request."""
        for one in kept:
            self._purses[one.organisation_id, one.priced] = Exploration.taken_up(one)

    def spent_nanos(self) -> dict[str, tuple[float, float]]:
        """By organisation: what its requests with a window cost, and what of it was paid for looking."""
        return {of: (purse.spent, purse.used) for (of, priced), purse in self._purses.items() if priced}

    def counts(self) -> dict[tuple[str, ...], float]:
        """The same in dollars, of all organisations together."""
        sums = list(self.spent_nanos().values())
        return {
            ("requests",): sum(spent for spent, _ in sums) / NANOS_PER_USD,
            ("looks",): sum(used for _, used in sums) / NANOS_PER_USD,
        }

    def take_beside(self, work: Work, prospect: Prospect) -> bool:
        """Whether the cheapest rung, which is skipped, is started all the same; then it is paid for."""
        costs = prospect.costs
        cost = costs.costs[0] if costs.nanos is None else float(costs.nanos[0])
        if not self.purse(work.call.key.organisation_id, costs).take(cost):
            return False
        work.reserved = cost
        return True

    def take_linger(self, work: Work, prospect: Prospect, place: int) -> bool:
        """Whether this rung may be left running if another one wins.

        Where an abandoned attempt is billed in full that costs nothing.
        """
        costs = prospect.costs
        share = costs.shares[place]
        if share >= 1.0:
            return True
        cost = costs.costs[place] if costs.nanos is None else float(costs.nanos[place])
        purse = self.purse(work.call.key.organisation_id, costs)
        if not purse.take(cost):
            return False
        work.look = Look(purse, cost, share, costs.nanos is not None)
        return True

    def forgo(self, work: Work) -> None:
        """The looks that were paid for are not made."""
        if work.look is not None:
            work.look.came_to(started=False, nanos=None)
            work.look = None
        if work.reserved and work.prospect is not None:
            self.purse(work.call.key.organisation_id, work.prospect.costs).refund(work.reserved)
            work.reserved = 0.0

    def settled(self, work: Work, prospect: Prospect, request: RequestRecord) -> None:
        """Fill the purse with a share of what was paid. A look cost what was paid beyond always-default."""
        costs, found = prospect.costs, prospect.found
        purse = self.purse(work.call.key.organisation_id, costs)
        paid, usual = found.decision.cost, None
        if costs.nanos is not None:
            paid = request.cost_nanos if request.cost_nanos is not None else paid * costs.nanos[1]
            usual = request.default_nanos
        if work.reserved:
            if usual is not None and request.cost_state in ("known", "estimated"):
                purse.refund(work.reserved - max(paid - usual, 0.0))
            elif costs.nanos is not None and request.cost_nanos == 0:  # refused, as all else was: nothing was charged
                purse.refund(work.reserved)
            work.reserved = 0.0
        purse.paid(paid, need(found.rungs[0].alone, prospect.window.seconds, found.decision.first > 0))
