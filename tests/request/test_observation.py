"""An attempt that a race follows from elsewhere: it is closed with the race as any other, or let go."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from appliance.domain.catalog import Provider, Rung
from appliance.http1.limits import Limits
from appliance.request.observation import Observation
from appliance.upstream.attempt import Attempt
from appliance.upstream.target import target
from appliance.upstream.transport import Pool
from appliance.wire import openai_chat


async def nowhere(*_: object) -> None:
    await trio.sleep_forever()


@pytest.fixture
def one(clock: MockClock) -> Callable[[Callable[[], None]], Observation]:
    def make(begun: Callable[[], None]) -> Observation:
        provider = Provider("prov", "org", "sim", "openai", "http://provider.test/v1")
        pool = Pool(nowhere, tls=nowhere, limits=Limits(), connect_timeout_s=60.0, idle_s=1.0)  # type: ignore[arg-type]
        attempt = Attempt(
            pool, target(provider, b"/chat/completions", dialect="openai_chat"), Rung("sim", "m", "flex"), 1,
            dialect=openai_chat, headers=[], body=b"{}", reader=None, now_unix_s=lambda: 0.0,
        )  # fmt: skip
        return Observation(attempt, "org", "key", 0.0, begun)

    return make


Make = Callable[[Callable[[], None]], Observation]


async def run(one: Observation) -> None:
    """As the observatory does."""
    try:
        with one.scope:
            await one.attempt.begin(lambda: "secret")
    finally:
        one.end()


async def test_a_race_that_ends_closes_it_and_waits_for_its_end(clock: MockClock, one: Make) -> None:
    heard: list[str] = []
    watched = one(lambda: heard.append(watched.attempt.end))
    async with trio.open_nursery() as elsewhere:
        elsewhere.start_soon(run, watched)
        with trio.CancelScope() as race:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watched.follow)
                await wait_all_tasks_blocked()
                race.cancel()
        assert race.cancelled_caught and watched.over and heard == ["cancelled"]


async def test_what_was_let_go_runs_on_and_is_not_heard_of(clock: MockClock, one: Make) -> None:
    heard: list[str] = []
    watched = one(lambda: heard.append("begun"))
    async with trio.open_nursery() as elsewhere:
        elsewhere.start_soon(run, watched)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watched.follow)
            await wait_all_tasks_blocked()
            watched.let_go(9.0, 2.0)
        assert not watched.over and watched.attempt.end == "running"
        assert (watched.let_go_s, watched.attempt.body) == (2.0, b"")
    assert watched.over and trio.current_time() == 9.0 and heard == []


async def test_its_bug_is_raised_where_it_is_followed(clock: MockClock, one: Make) -> None:
    watched = one(lambda: None)
    watched.bug = RuntimeError("a defect")
    watched.end()
    with pytest.raises(RuntimeError, match="a defect"):
        await watched.follow()
    await watched.follow()
