"""One task waits, another wakes it; a wake-up that comes first is not lost."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from appliance.net.wake import Wakeup


async def test_a_wake_up_ends_the_wait() -> None:
    wakeup, woken = Wakeup(), []

    async def sleeper() -> None:
        await wakeup.wait()
        woken.append(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleeper)
        await wait_all_tasks_blocked()
        assert woken == []
        wakeup.wake()
    assert woken == [1]


async def test_a_wake_up_before_the_wait_is_kept_once(autojump_clock: MockClock) -> None:
    wakeup = Wakeup()
    wakeup.wake()
    wakeup.wake()
    await wakeup.wait()
    with trio.move_on_after(1.0) as scope:
        await wakeup.wait()
    assert scope.cancelled_caught


async def test_a_cancelled_wait_loses_no_later_wake_up(autojump_clock: MockClock) -> None:
    wakeup = Wakeup()
    with trio.move_on_after(1.0):
        await wakeup.wait()
    wakeup.wake()
    await wakeup.wait()


async def test_a_wake_up_after_the_cancellation_but_before_the_task_runs_is_kept() -> None:
    wakeup, scope, order = Wakeup(), trio.CancelScope(), []

    async def sleeper() -> None:
        with scope:
            await wakeup.wait()
            order.append("woken at first")
        await wakeup.wait()
        order.append("woken then")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleeper)
        await wait_all_tasks_blocked()
        scope.cancel()
        wakeup.wake()
    assert order == ["woken then"] and scope.cancelled_caught


async def test_a_cancellation_after_the_wake_up_does_not_undo_it() -> None:
    wakeup, scope = Wakeup(), trio.CancelScope()
    finished = False

    async def sleeper() -> None:
        nonlocal finished
        with scope:
            await wakeup.wait()
            finished = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleeper)
        await wait_all_tasks_blocked()
        wakeup.wake()
        scope.cancel()
    assert finished
