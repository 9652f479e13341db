"""The memory of long bodies in work, requests and answers together. The rule: what was taken is given back once.

Counted is what passes the first receive of a body: up to there the number of connections is the bound. A request's body
is counted while it comes, and until its answer has started; an answer that is held whole, or assembled, until it was
sent. Too much turns new requests and bodies away before a provider is called; an answer that was paid for is never
given up for it.
"""

import trio

from appliance.domain.errors import ApplianceFault

DECOMPRESSIONS = 4
"""Bodies that are decompressed in threads at the same time: until one is whole, its size is not known."""


class Bodies:
    """Counts bytes against a limit. What is held in all is about twice that, since a provider is sent a copy."""

    __slots__ = ("decompressing", "held_bytes", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.decompressing = trio.CapacityLimiter(DECOMPRESSIONS)

    def check(self) -> None:
        """Raise ApplianceFault("too_many_bodies") if answers have taken more than there is."""
        if self.held_bytes > self.limit_bytes:
            raise too_many()

    def take(self, size_bytes: int) -> None:
        """Take room for a part of a request's body, or raise ApplianceFault("too_many_bodies") and take none."""
        if self.held_bytes + size_bytes > self.limit_bytes:
            raise too_many()
        self.held_bytes += size_bytes

    def add(self, size_bytes: int) -> None:
        """Count a part of an answer."""
        self.held_bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """What was taken or added is held no more."""
        self.held_bytes -= size_bytes


def too_many() -> ApplianceFault:
    """The fault of a request that comes while too much is held."""
    return ApplianceFault("too_many_bodies", retry_after_s=1)
