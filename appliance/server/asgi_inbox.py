"""How an application of the ASGI lane hears of its client. The rule: nobody waits for an application that has answered.

Pinned to Hypercorn 0.18, whose own queue this replaces.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio.task_group import TaskGroup, _handle

INBOX_MESSAGES = 4


class ClientLeft(OSError):
    """What an application gets that sends to a client who is gone (ASGI asks for an OSError)."""


class Inbox:
    """What a client sends to one application: parts of the body, then its end. The end needs no room.

    It is in `inboxes` as long as its request is not over.

    Hypercorn's own queue waits for room even to tell an application that its request is over: one that answers
    without reading a large body then waits for itself, for ever.
    """

    def __init__(self, inboxes: "set[Inbox]") -> None:
        self._inboxes = inboxes
        inboxes.add(self)
        self._messages: deque[Any] = deque()
        self._over = False
        self._hungry = False
        self._changed = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self._messages)

    async def put(self, message: Any) -> None:
        """Hand over a message, when there is room for it; dropped when the request is over."""
        if message["type"] == "http.disconnect":
            self.close()
            return
        while len(self._messages) >= INBOX_MESSAGES and not self._over:
            await self._changed.park()
        if not self._over:
            self._messages.append(message)
            self._changed.unpark_all()

    async def get(self) -> Any:
        """The next message, in the end (again and again) the disconnect."""
        while not self._messages and not self._over:
            if not self._hungry:
                self._hungry = True
                self._changed.unpark_all()
            await self._changed.park()
        self._hungry = False
        if not self._messages:
            return {"type": "http.disconnect"}
        message = self._messages.popleft()
        self._changed.unpark_all()
        return message

    async def asked(self) -> bool:
        """Wait until the application asks for more than there is; False if it has ended without."""
        while not self._hungry and not self._over:
            await self._changed.park()
        return not self._over

    def close(self) -> None:
        """The request is over: nobody waits any more."""
        self._over = True
        self._inboxes.discard(self)
        self._changed.unpark_all()


class LaneTaskGroup(TaskGroup):
    """TaskGroup whose applications read from an Inbox, and are stopped from sending to nobody."""

    def __init__(self, closed: Callable[[], bool], inboxes: set[Inbox] | None = None) -> None:
        super().__init__()
        self._closed = closed
        self._inboxes = set() if inboxes is None else inboxes
        self._own: set[Inbox] = set()
        self.inbox = Inbox(self._own)
        """Of the request that came last."""

    async def spawn_app(self, app: Any, config: Config, scope: Any, send: Any) -> Any:
        """Run an application for one request; returns how it is told what the client sends."""
        inbox = self.inbox = Inbox(self._inboxes)
        self._own.add(inbox)

        async def send_on(message: Any) -> None:
            if message is not None and self._closed():
                raise ClientLeft
            await send(message)

        async def run() -> None:
            try:
                await _handle(app, config, scope, inbox.get, send_on, trio.to_thread.run_sync, trio.from_thread.run)
            finally:
                inbox.close()
                self._own.discard(inbox)

        self.spawn(run)
        return inbox.put

    def end(self) -> None:
        """Nothing comes from the client any more: tell the applications that still wait for it.

        Hypercorn tells the one that it knows of; an application may have begun in the pass that heard of the end.
        """
        for inbox in [*self._own]:
            inbox.close()
