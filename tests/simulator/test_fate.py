"""Fates: repeatable, and as frequent as their rates."""

from appliance.simulator.fate import Fate, decide
from appliance.simulator.world import Behaviour, Lognormal


def fates(behaviour: Behaviour, count: int = 2000, tier: str = "flex", seed: int = 1) -> list[Fate]:
    return [decide(behaviour, seed=seed, model="m", tier=tier, ordinal=ordinal) for ordinal in range(count)]


def test_one_seed_gives_one_history() -> None:
    behaviour = Behaviour(start=Lognormal(5), refusal_rate=0.5, cut_rate=0.5)
    assert fates(behaviour, 50) == fates(behaviour, 50)
    assert fates(behaviour, 50) != fates(behaviour, 50, seed=2)


def test_a_rate_is_a_share_and_leaves_the_other_fates_alone() -> None:
    rare, often = fates(Behaviour(refusal_rate=0.1, cut_rate=0.3)), fates(Behaviour(refusal_rate=0.6, cut_rate=0.3))
    assert 0.07 < sum(fate.refused for fate in rare) / len(rare) < 0.13
    assert 0.55 < sum(fate.refused for fate in often) / len(often) < 0.65
    assert [fate.cut_after_tokens for fate in rare] == [fate.cut_after_tokens for fate in often]


def test_certain_and_impossible() -> None:
    sure = Behaviour(never_rate=1, stall_rate=1, stall_after_tokens=2, error_rate=1, downgrade_rate=1)
    assert {(f.never, f.stall_after_tokens, f.error_after_tokens, f.downgraded) for f in fates(sure, 50)} == {
        (True, 2, 0, True)
    }
    assert not any(f.never or f.refused or f.downgraded for f in fates(Behaviour(), 50))


def test_the_default_tier_cannot_be_downgraded() -> None:
    assert not fates(Behaviour(downgrade_rate=1), 1, tier="default")[0].downgraded
