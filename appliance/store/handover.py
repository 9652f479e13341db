"""The queue between the event loop and the writer thread. The rule: the event loop's side never waits and never locks.

The loop appends and counts what it gave; the thread takes and counts what it has done with; neither writes the other's
counters, so none needs a lock (single operations on deques and integers are atomic under the interpreter lock). A
sleeping thread is woken by a bell: a lock that the ringer releases.
"""

import _thread
import contextlib
from collections import deque

from appliance.domain.record import ArchiveRecord

Item = tuple[bytes, ArchiveRecord]
"""A record, encoded for the archive, and as it was for the rows."""

RECORD_OVERHEAD_BYTES = 3_072
"""What a held record costs in memory beside its encoded bytes (seen: 3,070 for a request with one attempt)."""


def held_size(item: Item) -> int:
    """What an item counts against the limit, in bytes."""
    return len(item[0]) + RECORD_OVERHEAD_BYTES


class Handover:
    """A bounded queue of records with one producer (the event loop) and one consumer (the writer thread)."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.items: deque[Item] = deque()
        self.asleep = False
        self.accepted = 0  # the loop's: how many were ever queued
        self.lost = 0  # the loop's: how many were turned away
        self._accepted_bytes = 0
        self._done_bytes = 0  # the thread's
        self._bell = _thread.allocate_lock()
        self._bell.acquire()

    @property
    def held_bytes(self) -> int:
        """Memory of records that are not in the database yet, the batch in work included."""
        return self._accepted_bytes - self._done_bytes

    def put(self, item: Item) -> bool:
        """Queue an item; False (and counted as lost) if the limit is reached. For the event loop."""
        size = len(item[0]) + RECORD_OVERHEAD_BYTES  # held_size(item), written out for the request path
        if self._accepted_bytes - self._done_bytes + size > self.limit_bytes:
            self.lost += 1
            return False
        self._accepted_bytes += size
        self.accepted += 1
        self.items.append(item)
        if self.asleep:
            self.ring()
        return True

    def take(self, most: int) -> list[Item]:
        """Up to `most` items in order; they stay counted until `done`. For the thread."""
        items = self.items
        return [items.popleft() for _ in range(min(most, len(items)))]

    def done(self, batch: list[Item]) -> None:
        """A batch needs no memory any more. For the thread."""
        self._done_bytes += sum(map(held_size, batch))

    def ring(self) -> None:
        """Wake the thread, or keep it from falling asleep next time. From any thread."""
        with contextlib.suppress(RuntimeError):  # it was rung already
            self._bell.release()

    def sleep(self, most_s: float) -> None:
        """Sleep until the bell rings; only for what must not wait unless `asleep` was set before. For the thread."""
        self._bell.acquire(timeout=most_s)
