"""The queue is bounded by bytes, keeps order, and its bell is never lost."""

import threading

from appliance.store.handover import Handover, Item, held_size
from tests.archive.records import begun


def item(size: int = 100) -> Item:
    return bytes(size), begun()


def test_the_bound_is_in_bytes_and_what_is_turned_away_is_counted() -> None:
    queue = Handover(held_size(item()) * 2)
    assert [queue.put(item()) for _ in range(3)] == [True, True, False]
    assert (queue.accepted, queue.lost, queue.held_bytes) == (2, 1, held_size(item()) * 2)
    batch = queue.take(10)
    assert len(batch) == 2
    assert not queue.put(item())  # taken is not done
    queue.done(batch)
    assert queue.held_bytes == 0
    assert queue.put(item())


def test_order_is_kept() -> None:
    queue = Handover(10**9)
    items = [item(size) for size in range(5)]
    for one in items:
        queue.put(one)
    assert queue.take(2) == items[:2]
    assert queue.take(9) == items[2:]
    assert queue.take(9) == []


def test_only_a_sleeper_is_woken_by_records_and_anybody_by_the_bell() -> None:
    queue, woken = Handover(10**9), threading.Event()
    queue.asleep = True

    def sleeper() -> None:
        queue.sleep(60.0)
        woken.set()

    thread = threading.Thread(target=sleeper)
    thread.start()
    queue.put(item())
    assert woken.wait(30)
    thread.join()
    queue.ring()
    queue.ring()
    queue.sleep(60.0)  # rung before: returns at once
    queue.asleep = False
    queue.put(item())
    queue.sleep(0.0)  # not rung: returns because the time is up
