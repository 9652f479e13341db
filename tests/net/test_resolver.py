"""Names: found once for all who ask, kept for their time, used on when the resolver fails; none stops another."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from appliance.net.resolver import MOST_NAMES, MOST_THREADS, STALE_S, THREADS_PER_NAME, Resolver

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]
AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
NONAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


class Names:
    """Stands in for socket.getaddrinfo: counts, fails as told, and hangs for names that begin with `hang`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails: socket.gaierror | None = None
        self.hangs: set[str] = set()
        self.free = threading.Event()

    def __call__(self, host: str, port: int, **_: Any) -> Any:
        self.asked.append(host)
        if host in self.hangs:
            self.free.wait()
        if self.fails is not None:
            raise self.fails
        return FOUND


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names()
    yield made
    made.free.set()


async def test_an_answer_is_kept_for_its_time(names: Names) -> None:
    resolver = Resolver(60.0, names)
    for _ in range(3):
        (address,) = await resolver.find("a.test", 80)
        assert (address.family, address.sockaddr) == (socket.AF_INET, ("192.0.2.1", 80))
    await resolver.find("a.test", 443)
    assert len(names.asked) == 2
    brief = Resolver(0.0, names)
    for _ in range(2):
        await brief.find("a.test", 80)
    assert len(names.asked) == 4


async def test_numbers_need_no_resolver(names: Names) -> None:
    for host, means in (
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("127.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
    ):
        (address,) = await Resolver(60.0, names).find(host, 80)
        assert address.sockaddr[:2] == (means, 80)
    assert names.asked == []


async def test_a_failure_is_not_kept(names: Names) -> None:
    resolver = Resolver(60.0, names)
    names.fails = NONAME
    with pytest.raises(socket.gaierror):
        await resolver.find("a.test", 80)
    names.fails = None
    assert await resolver.find("a.test", 80)


async def test_what_is_kept_is_bounded(names: Names) -> None:
    resolver = Resolver(60.0, names)
    await resolver.find("a.test", 80)
    resolver._known |= {("a.test", port): resolver._known["a.test", 80] for port in range(1000, 1000 + MOST_NAMES)}
    await resolver.find("b.test", 80)
    assert len(resolver._known) == 1


async def test_many_who_ask_at_once_share_one_answer(names: Names) -> None:
    resolver = Resolver(60.0, names)
    names.hangs = {"a.test"}
    found: list[Any] = []

    async def ask() -> None:
        found.append(await resolver.find("a.test", 80))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        names.free.set()
    assert len(found) == 20 and names.asked == ["a.test"]


async def test_they_share_a_failure_too(names: Names) -> None:
    resolver = Resolver(60.0, names)
    names.hangs, names.fails = {"a.test"}, NONAME
    told: list[str | None] = []

    async def ask() -> None:
        with pytest.raises(socket.gaierror) as fault:
            await resolver.find("a.test", 80)
        told.append(fault.value.strerror)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        names.free.set()
    assert told == [NONAME.strerror] * 5 and names.asked == ["a.test"]


async def test_whoever_gives_up_leaves_the_question_to_the_next(names: Names) -> None:
    resolver = Resolver(60.0, names)
    names.hangs = {"a.test"}
    found: list[Any] = []

    async def ask(scope: trio.CancelScope) -> None:
        with scope:
            found.append(await resolver.find("a.test", 80))

    scopes = [trio.CancelScope() for _ in range(2)]
    async with trio.open_nursery() as nursery:
        for scope in scopes:
            nursery.start_soon(ask, scope)
            await trio.testing.wait_all_tasks_blocked()
        names.hangs = set()
        scopes[0].cancel()
    assert len(found) == 1 and names.asked == ["a.test", "a.test"]


async def test_a_name_that_hangs_stops_no_other(names: Names) -> None:
    resolver = Resolver(60.0, names)
    names.hangs = {"hanging.test"}
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(resolver.find, "hanging.test", 80)
            nursery.start_soon(resolver.find, "hanging.test", 443)
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(5):
            assert await resolver.find("good.test", 80)
            while names.asked.count("hanging.test") < THREADS_PER_NAME:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    with trio.move_on_after(0.01) as patience:  # the threads that were left behind still count
        await resolver.find("hanging.test", 80)
    assert patience.cancelled_caught and names.asked.count("hanging.test") == THREADS_PER_NAME


async def test_all_names_together_get_a_bounded_number_of_threads(names: Names) -> None:
    resolver = Resolver(60.0, names)
    names.hangs = {f"h{at}.test" for at in range(MOST_THREADS)}
    async with trio.open_nursery() as nursery:
        for host in names.hangs:
            nursery.start_soon(resolver.find, host, 80)
        await trio.testing.wait_all_tasks_blocked()
        assert resolver.lookups == MOST_THREADS
        with pytest.raises(socket.gaierror) as fault:
            await resolver.find("one-more.test", 80)
        assert fault.value.errno == socket.EAI_AGAIN
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_an_old_address_is_used_while_the_resolver_is_of_no_use(names: Names, how: str) -> None:
    """On real time a hanging resolver costs a second, once in the time that an answer is kept."""
    resolver = Resolver(0.001, names)
    first = await resolver.find("a.test", 80)
    await trio.sleep(0.002)
    if how == "fails":
        names.fails = AGAIN
    else:
        names.hangs = {"a.test"}
    with trio.fail_after(5):
        assert await resolver.find("a.test", 80) == first
    assert len(names.asked) == 2


async def test_an_old_address_is_not_used_when_the_name_is_gone(names: Names) -> None:
    resolver = Resolver(0.001, names)
    await resolver.find("a.test", 80)
    await trio.sleep(0.002)
    names.fails = NONAME
    with pytest.raises(socket.gaierror):
        await resolver.find("a.test", 80)


async def test_an_old_address_is_used_for_an_hour_and_no_longer(names: Names, mock_clock: MockClock) -> None:
    resolver = Resolver(30.0, names)
    await resolver.find("a.test", 80)
    names.fails = AGAIN
    for _ in range(int(STALE_S / 60)):
        mock_clock.jump(60.0)
        assert await resolver.find("a.test", 80)
    mock_clock.jump(60.0)
    with pytest.raises(socket.gaierror):
        await resolver.find("a.test", 80)
