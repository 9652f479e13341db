"""One task waits, another one wakes it. The rule: one waiter, and a wake-up that comes first is not lost.

trio.Event makes a new object for each wait and wakes through a parking lot; between the two tasks of a connection
that costs more than the hand-over itself.
"""

import trio
from outcome import Value


class Wakeup:
    """A wake-up call for the one task that waits on it."""

    __slots__ = ("_pending", "_task")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._pending = False

    async def wait(self) -> None:
        """Return when `wake` is called, at once if it was called since the last wait."""
        if self._pending:
            self._pending = False
            return
        self._task = trio.lowlevel.current_task()
        try:
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        finally:
            self._task = None
        self._pending = False

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def wake(self) -> None:
        """Wake the waiting task, or let its next wait return at once."""
        task = self._task
        if task is None:
            self._pending = True
        else:
            self._task = None
            trio.lowlevel.reschedule(task, Value(None))
