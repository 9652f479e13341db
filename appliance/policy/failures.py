"""Keys that were not good, by client address: a bucket for each. The rule: bounded memory, and nothing lasts an hour.

The limit is not what keeps keys from being guessed (their 256 random bits are). It tells a client with a wrong key to
slow down, lets an address that tries keys learn nothing of why they fail, and shows in the metrics. That is why a good
key passes whatever its address has done: who shares an address with an attacker, or with a colleague's old
configuration, must not be locked out.
"""

from collections import OrderedDict

FORGET_S = 3600.0
MOST_ADDRESSES = 10_000


class Failures:
    """`most` failures of an address at once, refilled evenly within an hour; 0: no limit. Times are any clock's.

    Of more than `most_addresses` addresses the one that has not failed for longest is forgotten.
    """

    __slots__ = ("_buckets", "_most", "_most_addresses")

    def __init__(self, most: int, most_addresses: int = MOST_ADDRESSES) -> None:
        self._most = most
        self._most_addresses = most_addresses
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # (how full, when), last failure last

    def failed(self, address: str, now_s: float) -> float:
        """Count a failure. 0 if there is room for it; else how many seconds from now there is room for another one."""
        if not self._most:
            return 0.0
        self._forget(now_s)
        full, at_s = self._buckets.get(address, (0.0, now_s))
        full = max(0.0, full - max(0.0, now_s - at_s) * self._most / FORGET_S)
        over = full + 1 > self._most
        self._buckets[address] = (full if over else full + 1, now_s)
        self._buckets.move_to_end(address)
        if len(self._buckets) > self._most_addresses:
            self._buckets.popitem(last=False)
        return (full + 1 - self._most) * FORGET_S / self._most if over else 0.0

    def _forget(self, now_s: float) -> None:
        while self._buckets:
            address, (_, at_s) = next(iter(self._buckets.items()))
            if now_s - at_s < FORGET_S:
                return
            del self._buckets[address]

    def __len__(self) -> int:
        return len(self._buckets)
