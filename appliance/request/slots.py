"""Slots: how many of something one name may have at the same time. The rule: what was taken is given back once.

Races of an organisation, requests of a key, connections of an address: only names that have some are kept.
"""


class Slots:
    """Counts by name; `total` is the sum of all."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self.total = 0

    def take(self, name: str, limit: int) -> bool:
        """Take a slot, if there is one."""
        taken = self._taken.get(name, 0)
        if taken >= limit:
            return False
        self._taken[name] = taken + 1
        self.total += 1
        return True

    def give_back(self, name: str) -> None:
        """Give back a slot that was taken."""
        left = self._taken[name] - 1
        self.total -= 1
        if left:
            self._taken[name] = left
        else:
            del self._taken[name]

    def taken(self, name: str) -> int:
        """What one name has now."""
        return self._taken.get(name, 0)

    def most_taken(self) -> int:
        """What the name that has most has now."""
        return max(self._taken.values(), default=0)
