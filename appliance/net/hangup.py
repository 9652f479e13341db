"""Tells when the peer of a socket hangs up, while nobody reads that socket. The rule: it costs nothing per request.

While a request is being answered its connection is not read; yet the client's leaving must end the work at once. A task
per connection that waits for nothing else costs two switches per request and its memory. Instead every client socket is
registered once, when it is accepted, in a second epoll that reports hang-ups alone (EPOLLRDHUP, edge-triggered: the
peer's FIN, also with unread bytes before it, or a reset), and one task waits on that.
"""

import select
import sys
from collections.abc import Callable
from contextlib import suppress

import trio
from trio.lowlevel import wait_readable

HungUp = Callable[[], None]


class _Epoll:
    """The hang-ups of Linux."""

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def fileno(self) -> int:
        return self._epoll.fileno()

    def add(self, fd: int) -> None:
        self._epoll.register(fd, select.EPOLLRDHUP | select.EPOLLET)

    def remove(self, fd: int) -> None:
        self._epoll.unregister(fd)

    def ended(self) -> list[int]:
        return [fd for fd, _ in self._epoll.poll(0, 1024)]

    def close(self) -> None:
        self._epoll.close()


if sys.platform != "linux":  # pragma: no cover

    class _Kqueue:
        """The hang-ups of BSD and macOS: readable, with a low-water mark that no buffer reaches, so only at the end."""

        def __init__(self) -> None:
            self._kqueue = select.kqueue()

        def fileno(self) -> int:
            return int(self._kqueue.fileno())

        def add(self, fd: int) -> None:
            flags = select.KQ_EV_ADD | select.KQ_EV_CLEAR
            lowat, never = select.KQ_NOTE_LOWAT, 2**30
            self._kqueue.control([select.kevent(fd, select.KQ_FILTER_READ, flags, lowat, never)], 0)

        def remove(self, fd: int) -> None:
            self._kqueue.control([select.kevent(fd, select.KQ_FILTER_READ, select.KQ_EV_DELETE)], 0)

        def ended(self) -> list[int]:
            return [event.ident for event in self._kqueue.control([], 1024, 0)]

        def close(self) -> None:
            self._kqueue.close()


class HangUps:
    """The hang-ups of many sockets. `run` must be running for any to be told."""

    def __init__(self) -> None:
        self._poll = _Epoll() if sys.platform == "linux" else _Kqueue()  # type: ignore[name-defined, unused-ignore]
        self._watched: dict[int, HungUp] = {}

    def watch(self, fd: int, hung_up: HungUp) -> None:
        """Call `hung_up` once when the peer of this socket ends its side or resets."""
        self._watched[fd] = hung_up
        self._poll.add(fd)

    def forget(self, fd: int, hung_up: HungUp) -> None:
        """Watch this socket no longer. It may be closed already, and its number another socket's by now."""
        if self._watched.get(fd) == hung_up:
            del self._watched[fd]
            with suppress(OSError):  # closing it took it out
                self._poll.remove(fd)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell of hang-ups until cancelled."""
        task_status.started()
        try:
            while True:
                await wait_readable(self._poll.fileno())
                for fd in self._poll.ended():
                    hung_up = self._watched.get(fd)
                    if hung_up is not None:
                        hung_up()
        finally:
            self._poll.close()
