"""Short messages of one pass of the event loop go together. The rule: the first goes at once, the others at its end.

A send to a peer that sleeps has to wake it, which costs more than all else about a short message, and a peer on the
same machine falls asleep again between two of ours. On a busy server many connections have something to say in one
pass: what is kept until the loop would wait finds its peer awake. On one that is not busy each message is the first of
its pass, so that nothing waits; and none waits for longer than the pass takes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import trio

SOON_BYTES = 8192
"""What one connection may keep back: less than any socket takes at once whose peer has read what it got before."""

RETRY_S = 1.0
"""A peer that does not read what it asked for gets the rest that late."""


class Keeper(Protocol):
    """A stream that has kept something back."""

    def send_kept(self) -> bool:
        """Send what was kept, without waiting; False if the socket did not take all."""
        ...


class Outbox(trio.abc.Instrument):
    """Whose bytes are kept until the end of the pass. One for an event loop; does nothing unless `installed`."""

    def __init__(self) -> None:
        self._on = False
        self._none_sent = False
        self._keepers: list[Keeper] = []
        self._stuck: list[Keeper] = []
        self._retry_at_s = 0.0

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Keep bytes while inside; what was kept goes out at the end."""
        trio.lowlevel.add_instrument(self)
        self._on = True
        try:
            yield
        finally:
            self._on = self._none_sent = False
            trio.lowlevel.remove_instrument(self)
            self._send_all()

    def keeps(self) -> bool:
        """Whether the next message of a stream is to be kept: not if it is the first of this pass."""
        if self._none_sent:
            self._none_sent = False
            return False
        return self._on

    def remind(self, keeper: Keeper) -> None:
        """Send at the end of this pass what `keeper` has kept."""
        self._keepers.append(keeper)

    def before_io_wait(self, timeout: float) -> None:  # shape: allow units because it is trio's name for it
        """The end of a pass. trio calls it."""
        self._none_sent = True
        if self._keepers or self._stuck:
            self._send_all()

    def _send_all(self) -> None:
        keepers, self._keepers = self._keepers, []
        stuck = [keeper for keeper in keepers if not keeper.send_kept()]
        if self._stuck and (now_s := trio.current_time()) >= self._retry_at_s:
            self._retry_at_s = now_s + RETRY_S
            stuck += [keeper for keeper in self._stuck if not keeper.send_kept()]
            self._stuck = []
        self._stuck += stuck
