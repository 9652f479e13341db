"""The race: readable timelines first, then properties over any order of events."""

from collections.abc import Callable
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.catalog import Rung
from appliance.domain.errors import ApplianceFault, CallerFault, Fault, UpstreamFault
from appliance.domain.record import REASONS
from appliance.policy.looks import LOOKS
from appliance.policy.moves import (
    Began,
    Cancel,
    ClientGone,
    Command,
    Commit,
    Detach,
    Elapsed,
    Event,
    Failed,
    GiveUp,
    Refused,
    Replanned,
    Start,
    Started,
)
from appliance.policy.plan import Plan, RungPlan, plan_chain, plan_direct, plan_reserve
from appliance.policy.race import AFTER_LOSS, TRANSITIONS, Race, is_callers_fault, sole_reason

FLEX, DEFAULT, PRIORITY = LADDER = tuple(Rung("openai", "gpt-5.4-mini", t) for t in ("flex", "default", "priority"))
TWO = plan_reserve(LADDER[:2], 30.0, 5.0, 900.0)
THREE = plan_reserve(LADDER, 30.0, 5.0, 900.0)
SKIPS = Plan((RungPlan(FLEX, None), RungPlan(DEFAULT, 0.0), RungPlan(PRIORITY, None)), 30.0, 900.0, "flex_skipped")
LOOKED_AT = [msgspec.structs.replace(plan, check_s=24.0) for plan in (TWO, THREE)]
BESIDE = Plan((RungPlan(FLEX, 0.0), RungPlan(DEFAULT, 0.0)), 30.0, 900.0, "flex_skipped")
T0 = 1000.0

busy = UpstreamFault("provider_refused", retry_after_s=7.0)
broken = UpstreamFault("provider_error", retry_after_s=3.0, body=b"kept", status=500)
unreachable = UpstreamFault("provider_unreachable", phase="connect")
rejected = UpstreamFault("provider_rejected", status=422)
bad_key = UpstreamFault("provider_key_rejected")

LOST: Final = "lost_race"
GONE: Final = "client_gone"
SLOW: Final = "too_slow"
Step = tuple[float, list[Event], list[Command]]


def play(plan: Plan, steps: list[Step], detach: frozenset[int] | Callable[[int], bool] = frozenset()) -> Race:
    """Plays a timeline (seconds after the clock start, what happened, what must follow); the race begins at 0."""
    race = Race(plan, T0, detach)
    assert race.begin(T0) == [Start(place) for place, planned in enumerate(plan.rungs) if planned.launch_s == 0.0]
    for at, events, commands in steps:
        assert race.on_many(events, T0 + at) == commands, f"at {at}"
    return race


def ended_with(race: Race, at: float, events: list[Event]) -> Fault:
    """The fault that these events end the race with."""
    last = race.on_many(events, T0 + at)[-1]
    assert isinstance(last, GiveUp)
    return last.fault


TIMELINES: dict[str, tuple[Plan, list[Step], str | None]] = {
    "flex starts before default is due": (
        TWO,
        [(0.2, [Began(0)], []), (11.0, [Started(0)], [Commit(0)])],
        "flex_won",
    ),
    "default is launched at the deadline less the reserve, and starts first": (
        TWO,
        [
            (24.9, [Elapsed(T0 + 24.9)], []),
            (25.0, [Elapsed(T0 + 25)], [Start(1)]),
            (26.0, [Started(1)], [Cancel(0, LOST), Commit(1)]),
            (26.0, [Started(0)], []),
        ],
        "flex_deadline",
    ),
    "flex starts after default's launch and before default": (
        TWO,
        [(25.0, [Elapsed(T0 + 25)], [Start(1)]), (25.5, [Started(0)], [Cancel(1, LOST), Commit(0)])],
        "flex_won_late",
    ),
    "a tie goes to the cheaper rung, in whatever order it is told": (
        TWO,
        [(25.0, [Elapsed(T0 + 25)], [Start(1)]), (26.0, [Started(1), Started(0)], [Cancel(1, LOST), Commit(0)])],
        "flex_won_late",
    ),
    "a start beats the timer of the same instant": (
        TWO,
        [(25.0, [Elapsed(T0 + 25), Started(0)], [Commit(0)])],
        "flex_won",
    ),
    "flex is refused: default at once": (
        TWO,
        [(0.4, [Refused(0, busy)], [Start(1)]), (1.4, [Started(1)], [Commit(1)])],
        "flex_capacity",
    ),
    "flex fails at the provider: default at once": (
        TWO,
        [(3.0, [Failed(0, broken)], [Start(1)]), (4.0, [Started(1)], [Commit(1)])],
        "flex_upstream_error",
    ),
    "flex cannot be opened: default at once": (
        TWO,
        [(3.0, [Failed(0, unreachable)], [Start(1)]), (4.0, [Started(1)], [Commit(1)])],
        "flex_not_started",
    ),
    "flex fails within Startline: default at once": (
        TWO,
        [(0.1, [Failed(0, ApplianceFault("internal_error"))], [Start(1)]), (4.0, [Started(1)], [Commit(1)])],
        "flex_not_started",
    ),
    "flex is refused after default was launched for the deadline: nothing is added": (
        THREE,
        [
            (25.0, [Elapsed(T0 + 25)], [Start(1)]),
            (26.0, [Refused(0, busy)], []),
            (28.0, [Started(1)], [Commit(1)]),
        ],
        "flex_deadline",
    ),
    "default refuses while flex runs: priority at once": (
        THREE,
        [
            (25.0, [Elapsed(T0 + 25)], [Start(1)]),
            (25.2, [Refused(1, busy)], [Start(2)]),
            (26.0, [Started(2)], [Cancel(0, LOST), Commit(2)]),
        ],
        "flex_deadline",
    ),
    "priority at the deadline": (
        THREE,
        [
            (25.0, [Elapsed(T0 + 25)], [Start(1)]),
            (30.0, [Elapsed(T0 + 30)], [Start(2)]),
            (31.0, [Started(1)], [Cancel(0, LOST), Cancel(2, LOST), Commit(1)]),
        ],
        "flex_deadline",
    ),
    "a late timer launches all that is due": (
        THREE,
        [
            (31.0, [Elapsed(T0 + 31)], [Start(1), Start(2)]),
            (32.0, [Started(0)], [Cancel(1, LOST), Cancel(2, LOST), Commit(0)]),
        ],
        "flex_won_late",
    ),
    "an error while another rung runs is not told": (
        TWO,
        [
            (25.0, [Elapsed(T0 + 25)], [Start(1)]),
            (26.0, [Failed(1, rejected)], []),
            (80.0, [Started(0)], [Commit(0)]),
        ],
        "flex_won_late",
    ),
    "a chain goes on when a route fails, never by time": (
        plan_chain(LADDER[1:], 900.0),
        [
            (100.0, [Elapsed(T0 + 100)], []),
            (101.0, [Failed(0, broken)], [Start(1)]),
            (102.0, [Started(1)], [Commit(1)]),
        ],
        "chain_advanced",
    ),
    "a launch that is put off happens when it is due then": (
        TWO,
        [
            (24.0, [Replanned(1, 27.0)], []),
            (25.0, [Elapsed(T0 + 25)], []),
            (27.0, [Elapsed(T0 + 27)], [Start(1)]),
            (28.0, [Started(1)], [Cancel(0, LOST), Commit(1)]),
        ],
        "flex_deadline",
    ),
    "a launch that is overdue by the new plan happens at once": (
        TWO,
        [(9.0, [Replanned(1, 4.0)], [Start(1)]), (10.0, [Started(0)], [Cancel(1, LOST), Commit(0)])],
        "flex_won_late",
    ),
    "a start beats the new plan of the same instant": (
        TWO,
        [(9.0, [Replanned(1, 4.0), Started(0)], [Commit(0)])],
        "flex_won",
    ),
    "a new plan that puts off beats the timer of the same instant": (
        TWO,
        [(25.0, [Elapsed(T0 + 25), Replanned(1, 26.0)], []), (25.5, [Started(0)], [Commit(0)])],
        "flex_won",
    ),
    "priority before default: default waits until something is lost": (
        THREE,
        [
            (9.0, [Replanned(2, 20.0)], []),
            (20.0, [], [Start(2)]),
            (25.0, [], []),
            (26.0, [Refused(2, busy)], [Start(1)]),
            (27.0, [Started(1)], [Cancel(0, LOST), Commit(1)]),
        ],
        "flex_deadline",
    ),
    "default before priority again: priority waits for the deadline": (
        THREE,
        [
            (9.0, [Replanned(2, 20.0)], []),
            (10.0, [Replanned(1, 22.0)], []),
            (22.0, [], [Start(1)]),
            (30.0, [], [Start(2)]),
            (31.0, [Started(2)], [Cancel(0, LOST), Cancel(1, LOST), Commit(2)]),
        ],
        "flex_deadline",
    ),
    "nothing is planned anew for a rung that runs, has run or is not there": (
        TWO,
        [
            (1.0, [Replanned(0, 0.5), Replanned(7, 0.5)], []),
            (25.0, [], [Start(1)]),
            (26.0, [Replanned(1, 1.0)], []),
            (27.0, [Started(1)], [Cancel(0, LOST), Commit(1)]),
        ],
        "flex_deadline",
    ),
    "a skipped rung is asked when all others were lost": (
        SKIPS,
        [
            (1.0, [Failed(1, broken)], [Start(2)]),
            (2.0, [Refused(2, busy)], [Start(0)]),
            (3.0, [Started(0)], [Commit(0)]),
        ],
        "chain_advanced",
    ),
    "default serves where flex was skipped": (SKIPS, [(1.0, [Started(1)], [Commit(1)])], "flex_skipped"),
    "both at once, and default is first": (
        msgspec.structs.replace(TWO, rungs=(RungPlan(FLEX, 0.0), RungPlan(DEFAULT, 0.0))),
        [(1.0, [Started(1)], [Cancel(0, LOST), Commit(1)])],
        "flex_deadline",
    ),
    "a look beside default, and default is first": (
        BESIDE,
        [(1.0, [Started(1)], [Cancel(0, LOST), Commit(1)])],
        "flex_skipped",
    ),
    "a look beside default, and flex is first": (
        BESIDE,
        [(1.0, [Started(0)], [Cancel(1, LOST), Commit(0)])],
        "flex_won_late",
    ),
    "full race slots: default alone": (
        plan_direct(DEFAULT, 900.0, "flex_slots_full", 30.0),
        [(31.0, [Started(0)], [Commit(0)])],
        "flex_slots_full",
    ),
}


@pytest.mark.parametrize("name", TIMELINES)
def test_timeline(name: str) -> None:
    plan, steps, reason = TIMELINES[name]
    race = play(plan, steps)
    assert race.over
    assert race.reason() == reason
    assert reason in REASONS
    assert race.next_timer is None


def test_the_next_timer_is_the_next_launch_and_then_the_giving_up() -> None:
    race = play(THREE, [])
    assert race.next_timer == T0 + 25
    race.on(Elapsed(T0 + 25), T0 + 25)
    assert race.next_timer == T0 + 30
    race.on(Elapsed(T0 + 30), T0 + 30)
    assert race.next_timer == T0 + 900


def test_a_plan_is_looked_at_until_its_second_rung_is_launched() -> None:
    looked = msgspec.structs.replace(THREE, check_s=20.0)
    race, seen = play(looked, []), []
    while race.look_at is not None:
        assert race.next_timer == min(race.look_at, T0 + 25) and race.next_launch == (1, T0 + 25)
        seen.append(race.next_timer - T0)
        race.on(Elapsed(race.next_timer), race.next_timer)
    assert seen == [3.75, 7.5, 11.25, 15.0, 18.75, 20.0, 22.5, 25.0]
    assert race.states == ("running", "running", "waiting") and race.next_timer == T0 + 30
    late = play(looked, [(16.0, [], [])])
    assert late.look_at == T0 + 18.75, "what was missed is not made up for"
    sooner = play(looked, [(7.5, [Replanned(1, 2.0)], [Start(1)])])
    assert sooner.look_at is None
    lost = play(looked, [(1.0, [Refused(0, busy)], [Start(1)])])
    assert lost.look_at is None, "the plan was for a first rung that runs"
    assert play(THREE, []).look_at is None


def test_a_launch_that_is_put_off_is_looked_at_again() -> None:
    race = play(msgspec.structs.replace(TWO, check_s=20.0), [(20.0, [Replanned(1, 28.0)], [])])
    assert race.look_at == T0 + 22.5
    assert race.on(Elapsed(T0 + 25), T0 + 25) == [] and race.look_at == T0 + 26.25
    assert race.on(Replanned(1, 26.0), T0 + 26.25) == [Start(1)]


def test_a_launch_brought_forward_leaves_the_later_ones_at_their_times() -> None:
    race = play(THREE, [(1.0, [Refused(0, busy)], [Start(1)])])
    assert race.next_timer == T0 + 30


def test_the_deadline_ends_nothing_but_the_time_to_give_up_does() -> None:
    race = play(TWO, [(25.0, [], [Start(1)]), (899.0, [Elapsed(T0 + 899)], [])])
    commands = race.on(Elapsed(T0 + 900), T0 + 900)
    assert commands[:2] == [Cancel(0, SLOW), Cancel(1, SLOW)]
    assert isinstance(commands[2], GiveUp)
    fault = commands[2].fault
    assert (fault.code, fault.status, fault.origin) == ("provider_too_slow", 504, "provider")
    assert race.reason() is None


@pytest.mark.parametrize("fault", [rejected, bad_key, CallerFault("flex_model_not_capable", suffix="_here")])
def test_a_callers_fault_with_no_other_rung_alive_ends_the_race_and_starts_no_rung(fault: Fault) -> None:
    assert is_callers_fault(fault)
    assert play(THREE, []).on(Failed(0, fault), T0 + 1) == [GiveUp(fault)]


def test_a_callers_fault_waits_for_the_rung_that_is_alive() -> None:
    race = play(THREE, [(25.0, [], [Start(1)]), (25.5, [Failed(1, rejected)], [])])
    assert not race.over
    assert race.on(Started(0), T0 + 26) == [Commit(0)]


def test_a_callers_fault_after_a_refusal_is_the_answer() -> None:
    race = play(TWO, [(1.0, [Refused(0, busy)], [Start(1)])])
    fault = ended_with(race, 2.0, [Failed(1, rejected)])
    assert (fault.code, fault.status, fault.retry_after_s) == ("provider_rejected", 422, 7.0)


def test_all_failed_tells_the_dearest_rungs_error_and_the_smallest_retry_after() -> None:
    hurry = UpstreamFault("provider_refused", retry_after_s=1.5)
    race = play(THREE, [(1.0, [Refused(0, hurry)], [Start(1)]), (2.0, [Refused(1, busy)], [Start(2)])])
    fault = ended_with(race, 3.0, [Failed(2, broken)])
    assert fault is not broken
    assert (fault.code, fault.status, fault.body, fault.retry_after_s) == ("provider_error", 500, b"kept", 1.5)
    assert type(fault) is UpstreamFault
    assert broken.retry_after_s == 3.0, "the attempt's own fault is left as it was"


def test_the_dearest_rungs_error_even_if_it_came_first() -> None:
    race = play(TWO, [(25.0, [], [Start(1)]), (25.1, [Failed(1, broken)], [])])
    fault = ended_with(race, 26.0, [Failed(0, unreachable)])
    assert fault is broken, "its own retry-after is the smallest: no copy"


def test_a_callers_fault_that_ends_the_race_is_told_even_if_a_dearer_rung_failed_before() -> None:
    race = play(TWO, [(25.0, [], [Start(1)]), (25.1, [Failed(1, unreachable)], [])])
    assert ended_with(race, 26.0, [Failed(0, rejected)]) is rejected


def test_losses_of_one_instant_are_heard_from_cheap_to_dear() -> None:
    race = play(TWO, [(25.0, [], [Start(1)])])
    assert ended_with(race, 26.0, [Failed(1, broken), Failed(0, rejected)]) is broken


def test_a_copied_fault_keeps_a_suffixed_code() -> None:
    odd = UpstreamFault("provider_rejected", suffix="_for_acme", retry_after_s=9.0)
    race = play(TWO, [(1.0, [Refused(0, busy)], [Start(1)])])
    fault = ended_with(race, 2.0, [Failed(1, odd)])
    assert (fault.code, fault.retry_after_s) == ("provider_rejected_for_acme", 7.0)


def test_no_rung_is_started_at_the_time_to_give_up() -> None:
    late = play(THREE, [(30.0, [], [Start(1), Start(2)])])
    late.on_many([Failed(0, busy), Failed(1, busy)], T0 + 40)
    assert ended_with(late, 900.0, [Failed(2, broken)]).code == "provider_error"
    alone = play(plan_chain(LADDER, 900.0), [])
    assert ended_with(alone, 900.0, [Failed(0, broken)]) is broken


def test_a_client_that_leaves_cancels_everything_and_detaches_nothing() -> None:
    race = play(TWO, [(25.0, [], [Start(1)])], detach=frozenset({0, 1}))
    commands = race.on_many([Started(0), ClientGone()], T0 + 26)
    assert commands[:2] == [Cancel(0, GONE), Cancel(1, GONE)]
    assert isinstance(commands[2], GiveUp)
    assert commands[2].fault.code == "client_gone"


@pytest.mark.parametrize("detach", [frozenset({0}), lambda rung: rung == 0])
def test_a_loser_that_may_be_observed_is_detached_until_the_deadline(
    detach: frozenset[int] | Callable[[int], bool],
) -> None:
    told: list[Step] = [(25.0, [], [Start(1)]), (26.0, [Started(1)], [Detach(0, T0 + 30), Commit(1)])]
    assert play(TWO, told, detach).states == ("detached", "won")
    short = msgspec.structs.replace(TWO, give_up_s=28.0)
    play(short, [(25.0, [], [Start(1)]), (26.0, [Started(1)], [Detach(0, T0 + 28), Commit(1)])], detach)


@pytest.mark.parametrize("at_s", [30.0, 31.0])
def test_after_the_deadline_there_is_nothing_left_to_observe(at_s: float) -> None:
    told: list[Step] = [(25.0, [], [Start(1)]), (at_s, [Started(1)], [Cancel(0, LOST), Commit(1)])]
    play(TWO, told, frozenset({0}))


def test_a_race_that_begins_late_launches_what_is_due() -> None:
    race = Race(TWO, T0)
    assert race.begin(T0 + 26) == [Start(0), Start(1)]


# -- properties --------------------------------------------------------------------------------------------------------

FAULTS = [busy, broken, unreachable, rejected, bad_key, UpstreamFault("provider_garbled")]
rungs = st.integers(0, 3)
events = st.one_of(
    st.builds(Began, rungs),
    st.builds(Started, rungs),
    st.builds(Refused, rungs, st.sampled_from(FAULTS)),
    st.builds(Failed, rungs, st.sampled_from(FAULTS)),
    st.builds(Replanned, rungs, st.sampled_from([0.0, 3.0, 29.0, 500.0])),
    st.just(ClientGone()),
    st.builds(Elapsed, st.just(0.0)),
)
# Mostly losses and time, so that races live long; equal times and long gaps both common.
losses = st.one_of(st.builds(Refused, rungs, st.just(busy)), st.builds(Failed, rungs, st.sampled_from(FAULTS)))
batches = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 4.5, 25.0, 25.0, 300.0]), st.lists(st.one_of(losses, events), max_size=4)),
    max_size=14,
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["race", "chain", "direct", "skips"]))
    if kind == "direct":
        return plan_direct(DEFAULT, 900.0, draw(st.sampled_from(["tier_direct", "flex_slots_full", "not_raced"])))
    if kind == "chain":
        return plan_chain(LADDER[:count], 900.0)
    if kind == "skips":
        return draw(st.sampled_from([SKIPS, BESIDE, *LOOKED_AT]))
    return plan_reserve(LADDER[:count], draw(st.sampled_from([1.0, 30.0, 900.0])), 5.0, 900.0)


detaches = st.frozensets(st.integers(0, 2))


class Watched:
    """A race under a driver that checks, command by command, what a race promises."""

    def __init__(self, plan: Plan, detach: frozenset[int]) -> None:
        self.race = Race(plan, T0, detach)
        self.plan = plan
        self.detach = detach
        self.started: list[int] = []
        self.alive: set[int] = set()
        self.dismissed: list[int] = []
        self.last: Commit | GiveUp | None = None
        self.now = T0
        self.replanned = False
        self.take(self.race.begin(T0))

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            assert self.last is None, "nothing follows the Commit or GiveUp"
            match command:
                case Start(rung):
                    assert rung not in self.started, "each rung once"
                    if not self.replanned:
                        assert rung == self.plan.launches()[len(self.started)], "and in order"
                    self.started.append(rung)
                    self.alive.add(rung)
                    assert self.now < T0 + self.plan.give_up_s
                case Cancel(rung, _) | Detach(rung, _):
                    if isinstance(command, Detach):
                        assert rung in self.detach and self.plan.window_s is not None
                        assert self.now < command.until <= T0 + self.plan.window_s
                    self.alive.remove(rung)
                    self.dismissed.append(rung)
                case Commit(rung):
                    self.alive.remove(rung)
                    self.last = command
                case GiveUp():
                    self.last = command

    def tell(self, batch: list[Event]) -> list[Command]:
        """Tells the race, takes its commands, and forgets the rungs that were lost (told without being dismissed)."""
        self.replanned |= any(isinstance(event, Replanned) for event in batch)
        commands = self.race.on_many(batch, self.now)
        self.take(commands)
        self.alive -= {event.rung for event in batch if isinstance(event, Refused | Failed)}
        if self.last is not None:
            assert not self.alive, "every loser is dismissed before the end"
            assert "running" not in self.race.states
            assert self.race.next_timer is None
        else:
            assert self.alive, "a race goes on only while a rung runs"
            assert self.race.next_timer is not None
            assert self.race.next_timer > self.now, "what is due was done"
        return commands


def run(plan: Plan, detach: frozenset[int], told: list[tuple[float, list[Event]]]) -> Watched:
    watched = Watched(plan, detach)
    for gap, batch in told:
        watched.now += gap
        watched.tell(only_launched(watched, batch))
    while watched.race.next_timer is not None:
        watched.now = watched.race.next_timer
        watched.tell([Elapsed(watched.now)])
    return watched


def only_launched(watched: Watched, batch: list[Event]) -> list[Event]:
    """Without losses of rungs not launched yet: within one batch they would hit the rung that the batch launches."""
    return [e for e in batch if not isinstance(e, Refused | Failed) or e.rung in watched.started]


@given(plans(), detaches, batches)
def test_every_order_of_events_ends_once_and_dismisses_each_loser_once(
    plan: Plan, detach: frozenset[int], told: list[tuple[float, list[Event]]]
) -> None:
    watched = run(plan, detach, told)
    assert watched.last is not None
    assert len(set(watched.dismissed)) == len(watched.dismissed)
    won = isinstance(watched.last, Commit)
    assert (watched.race.reason() in REASONS) if won else (watched.race.reason() is None)
    # Whatever comes later changes nothing.
    late: list[Event] = [Started(0), Failed(0, broken), ClientGone(), Elapsed(1e9)]
    assert watched.race.on_many(late, 1e9) == []


@given(st.sampled_from(LOOKED_AT), st.lists(st.sampled_from([None, 3.0, 26.0, 29.0, 30.0]), max_size=20))
def test_looks_are_few_whatever_is_planned_at_them(plan: Plan, moves: list[float | None]) -> None:
    race, looks, now = Race(plan, T0), 0, T0
    race.begin(T0)
    while race.look_at is not None:
        assert race.next_timer is not None and race.next_timer > now
        now, due = race.next_timer, race.look_at
        looks += due <= now
        launch_s = moves.pop() if moves and due <= now else None
        race.on(Elapsed(now) if launch_s is None else Replanned(1, launch_s), now)
    assert looks <= LOOKS
    assert race.states[1] == "running" or race.next_launch is not None, "the launch is as sure as ever"


@given(plans(), batches)
def test_ties_go_to_the_cheaper_rung(plan: Plan, told: list[tuple[float, list[Event]]]) -> None:
    watched = Watched(plan, frozenset())
    for gap, batch in told:
        watched.now += gap
        running = set(watched.alive)
        batch = only_launched(watched, batch)
        starts = {e.rung for e in batch if isinstance(e, Started)} & running
        over = watched.last is not None
        watched.tell(batch)
        if starts and not over and ClientGone() not in batch:
            assert watched.last == Commit(min(starts))


@given(plans(), detaches, batches)
def test_an_error_never_wins_while_a_rung_is_alive_or_can_be_launched(
    plan: Plan, detach: frozenset[int], told: list[tuple[float, list[Event]]]
) -> None:
    watched = run(plan, detach, told)
    if not isinstance(watched.last, GiveUp):
        return
    fault = watched.last.fault
    if fault.code in ("client_gone", "provider_too_slow"):
        return
    assert watched.dismissed == [], "no rung was alive"
    states = watched.race.states
    assert "waiting" not in states or "rejected" in states or watched.now >= T0 + plan.give_up_s
    assert fault.retry_after_s == min(
        (f.retry_after_s for f in watched.race._faults.values() if f.retry_after_s), default=None
    )
    if not is_callers_fault(fault):
        assert states[len(watched.started) - 1] in ("refused", "failed")
        dearest = watched.race._faults[len(watched.started) - 1]
        assert (fault.code, fault.status, fault.body) == (dearest.code, dearest.status, dearest.body)


Move = Callable[[int], Event]
MOVES: list[tuple[str, Move]] = [
    ("started", Started),
    ("refused", lambda rung: Refused(rung, busy)),
    ("failed", lambda rung: Failed(rung, broken)),
    ("rejected", lambda rung: Failed(rung, rejected)),
]


def test_every_way_that_a_race_can_go() -> None:
    """All sequences of moves of three rungs and of the timer, against the rules told one by one."""
    ways = 0

    def replay(moves: tuple[tuple[str, Event | None], ...]) -> tuple[Watched, list[Command]]:
        watched = Watched(THREE, frozenset())
        commands: list[Command] = [Start(0)]
        for _, event in moves:
            if event is None:
                assert watched.race.next_timer is not None
                watched.now = watched.race.next_timer
            commands = watched.tell([event or Elapsed(watched.now)])
        return watched, commands

    def explore(moves: tuple[tuple[str, Event | None], ...]) -> None:
        nonlocal ways
        before, _ = replay(moves)
        if before.last is not None:
            ways += 1
            return
        running = sorted(before.alive)
        explore((*moves, ("timer", None)))
        for rung in running:
            for name, move in MOVES:
                told = (*moves, (name, move(rung)))
                _, commands = replay(told)
                others = [other for other in running if other != rung]
                waiting = len(before.started) < 3
                kinds = [type(command) for command in commands]
                if name == "started":
                    assert commands == [*(Cancel(other, LOST) for other in others), Commit(rung)]
                elif name == "rejected":
                    assert kinds == ([] if others else [GiveUp])
                elif others and max(others) > rung:
                    assert commands == []
                elif waiting:
                    assert commands == [Start(len(before.started))]
                else:
                    assert kinds == ([] if others else [GiveUp])
                explore(told)

    explore(())
    assert ways > 500


@given(detaches, batches)
def test_a_client_that_went_away_detaches_nothing(
    detach: frozenset[int], told: list[tuple[float, list[Event]]]
) -> None:
    watched = Watched(THREE, detach)
    for gap, batch in told:
        watched.now += gap
        watched.tell(only_launched(watched, batch))
    commands = watched.tell([ClientGone()])
    assert not any(isinstance(command, Detach) for command in commands)
    assert watched.last is not None


@given(batches)
def test_detaching_is_off_by_default(told: list[tuple[float, list[Event]]]) -> None:
    race = Race(THREE, T0)
    commands = race.begin(T0)
    for _, batch in told:
        commands += race.on_many(batch, T0 + 26)
    assert not any(isinstance(command, Detach) for command in commands)


def inline(plan: Plan, told: list[tuple[float, list[Event]]]) -> tuple[str | None, str | None]:
    """What a driver does that has one rung and no race: the reason if it served, or the code of the fault."""
    now = T0
    for gap, batch in told:
        now += gap
        if ClientGone() in batch:
            return None, "client_gone"
        if Started(0) in batch:
            return sole_reason(plan), None
        lost = [e for e in batch if isinstance(e, Refused | Failed) and e.rung == 0]
        if lost:
            return None, lost[0].fault.code
        if now >= T0 + plan.give_up_s:
            return None, "provider_too_slow"
    return None, "provider_too_slow"


@given(plans().filter(lambda plan: len(plan.rungs) == 1), batches)
def test_one_rung_without_a_race_gives_the_same_answers(plan: Plan, told: list[tuple[float, list[Event]]]) -> None:
    watched = run(plan, frozenset(), told)
    assert watched.last is not None
    code = watched.last.fault.code if isinstance(watched.last, GiveUp) else None
    assert (watched.race.reason(), code) == inline(plan, told)


@given(st.permutations([Started(0), Started(1), Failed(2, broken), Began(1), Elapsed(0.0)]))
def test_the_order_within_one_instant_does_not_matter(batch: list[Event]) -> None:
    race = play(THREE, [(30.0, [], [Start(1), Start(2)])])
    assert race.on_many(batch, T0 + 31) == [Cancel(1, LOST), Cancel(2, LOST), Commit(0)]
    assert race.winner == 0


def test_the_tables_are_complete() -> None:
    assert len(AFTER_LOSS) == 3 * 3 * 2
    assert {state for state, _ in TRANSITIONS} == {"waiting", "running"}, "every other state is final"


def test_events_about_rungs_that_are_not_there_do_no_harm() -> None:
    race = play(TWO, [(1.0, [Started(7), Failed(-1, broken), Started(1)], [])])
    assert race.states == ("running", "waiting")


@pytest.mark.parametrize(
    ("providers", "fault", "next_rung"),
    [
        ("aa", UpstreamFault("provider_rate_limited", status=429, family="gemini"), None),
        ("aa", UpstreamFault("provider_rate_limited", status=429, family="openai"), 1),
        ("aab", UpstreamFault("provider_rate_limited", status=429, family="gemini"), 1),
        ("aa", UpstreamFault("provider_key_rejected"), None),
        ("ab", UpstreamFault("provider_key_rejected"), 1),
        ("ab", UpstreamFault("provider_rejected", status=404), 1),
        ("aA", UpstreamFault("provider_rejected", status=404), 1),  # the same provider, another model
        ("aA", UpstreamFault("provider_key_rejected"), None),
        ("ab", UpstreamFault("provider_rejected", status=400), None),
    ],
)
def test_whether_what_one_provider_says_holds_for_the_next(providers: str, fault: Fault, next_rung: int | None) -> None:
    rungs = tuple(
        RungPlan(Rung(name.lower(), "m" if name.islower() else "n", None), None if place else 0.0)
        for place, name in enumerate(providers)
    )
    race = Race(Plan(rungs, None, 100.0), 0.0)
    race.begin(0.0)
    commands = race.on(Failed(0, fault), 1.0)
    assert commands == ([GiveUp(fault)] if next_rung is None else [Start(next_rung)])


@pytest.mark.parametrize(("launch_s", "reason"), [(25.0, "flex_deadline"), (None, "chain_advanced")])
def test_another_provider_that_was_launched_for_the_deadline_is_no_step_of_a_chain(
    launch_s: float | None, reason: str
) -> None:
    plan = Plan((RungPlan(Rung("a", "m", "flex"), 0.0), RungPlan(Rung("b", "n", None), launch_s)), 30.0, 100.0)
    race = Race(plan, 0.0)
    race.begin(0.0)
    race.on(Elapsed(25.0) if launch_s else Failed(0, broken), 25.0)
    race.on(Started(1), 26.0)
    assert race.reason() == reason
