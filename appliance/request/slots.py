"""Race slots: how many races an organisation may run at the same time. The rule: what was taken is given back once."""


class Slots:
    """Counts of running races by organisation."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def take(self, organisation_id: str, limit: int) -> bool:
        """Take a slot, if there is one."""
        taken = self._taken.get(organisation_id, 0)
        if taken >= limit:
            return False
        self._taken[organisation_id] = taken + 1
        return True

    def give_back(self, organisation_id: str) -> None:
        """Give back a slot that was taken."""
        left = self._taken[organisation_id] - 1
        if left:
            self._taken[organisation_id] = left
        else:
            del self._taken[organisation_id]

    def taken(self, organisation_id: str) -> int:
        """Races running now."""
        return self._taken.get(organisation_id, 0)
