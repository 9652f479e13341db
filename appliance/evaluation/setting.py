"""What a caller and a provider may agree on: deadline, target, price of flex, billing of losers. The rule: fixed rows.

A covering design of 24: each value of one factor meets each value of every other one at least once.
"""

import msgspec

WINDOWS_S = (3.0, 5.0, 10.0, 30.0, 120.0, 600.0)
TARGETS = (0.9, 0.99, 0.999)
BILLED = (0.0, 0.5, 1.0)
PRICES = (0.5, 0.9)


class Setting(msgspec.Struct, frozen=True):
    """`price`: of flex, default's being 1. `billed`: the share of its price that an attempt costs, cancelled silent."""

    window_s: float
    target: float
    billed: float
    price: float

    @property
    def name(self) -> str:
        """For file names and tables."""
        return f"{self.window_s:g}s-{self.target:g}-loser{self.billed:g}-flex{self.price:g}"


def _covering() -> tuple[Setting, ...]:
    rows = [
        Setting(window_s, target, BILLED[(i + j) % 3], PRICES[(i + j) % 2])
        for i, window_s in enumerate(WINDOWS_S)
        for j, target in enumerate(TARGETS)
    ]
    # The usual price, and the target that most will set, where the deadline is what matters.
    rows += [Setting(window_s, 0.99, BILLED[i % 3], PRICES[i % 2]) for i, window_s in enumerate(WINDOWS_S)]
    return tuple(rows)


SETTINGS: tuple[Setting, ...] = _covering()
