"""What is known of lengths and paces: hierarchy, cut answers, bounded memory, and what survives a restart."""

from random import Random

import pytest

from appliance.policy import lengths
from appliance.policy.buckets import UPPER_S
from appliance.policy.histogram import Kept
from appliance.policy.latency import KeptSeries, LatencyModel, Series
from appliance.policy.lengths import LENGTH_PRIOR, PACE_PRIOR, PACE_TOKENS, Lengths


def longer(known: Lengths, model: str, key: str, tokens: int, now_s: float) -> float:
    """P(an answer has more tokens)."""
    return known.length(model, key, now_s).silent_at(tokens / 1000)


def fed(known: Lengths, model: str, key: str, median: float, count: int, now_s: float = 0.0) -> float:
    random = Random(f"{model} {key}")
    for _ in range(count):
        now_s += 1.0
        known.ended(model, key, round(median * random.lognormvariate(0.0, 0.5)), False, now_s)
    return now_s


def test_what_nothing_is_known_of_is_thought_to_be_long_and_slow() -> None:
    known = Lengths()
    assert longer(known, "gpt", "key", 1000, 0.0) == pytest.approx(LENGTH_PRIOR.silent_at(1.0))
    a_token_s = 1 / 50
    assert known.pace("openai", "gpt", "flex", 0.0).late_at(a_token_s * PACE_TOKENS) == pytest.approx(0.5, abs=0.01)
    assert known.mean_tokens("gpt", "key", 700.0) == 700.0
    assert len(known) == 2, "who asks is remembered, as in the model of starts"


def test_a_keys_lengths_are_its_own_and_those_of_its_model_until_it_has_some() -> None:
    known = Lengths()
    now_s = fed(known, "gpt", "terse", 50, 400)
    assert longer(known, "gpt", "terse", 300, now_s) < 0.02
    assert longer(known, "gpt", "new", 300, now_s) < 0.02 < 0.4 < longer(known, "other", "terse", 300, now_s)
    assert known.mean_tokens("gpt", "terse", 1000.0) == pytest.approx(57, rel=0.15)
    assert known.mean_tokens("gpt", "new", 1000.0) == pytest.approx(57, rel=0.15), "its model's"
    assert known.mean_tokens("other", "terse", 1000.0) == 1000.0
    now_s = fed(known, "gpt", "wordy", 2000, 100, now_s)
    assert longer(known, "gpt", "wordy", 1000, now_s) > 0.8
    assert longer(known, "gpt", "terse", 1000, now_s) < 0.02, "and the other way it teaches little"
    assert known.mean_tokens("gpt", "wordy", 1000.0) > 1500


def test_what_was_cut_off_is_only_known_to_be_longer() -> None:
    counted, cut = Lengths(), Lengths()
    for nth in range(400):
        for known in (counted, cut):
            known.ended("gpt", "key", 100 if nth % 2 else 400, known is cut and nth % 2 == 0, float(nth))
    assert longer(counted, "gpt", "key", 500, 500.0) < 0.01
    assert longer(cut, "gpt", "key", 390, 500.0) == pytest.approx(0.5, abs=0.05)
    assert longer(cut, "gpt", "key", 500, 500.0) > 0.3, "half of the answers were longer than could be seen"


def test_paces_differ_by_tier_and_lean_on_those_of_other_models() -> None:
    known = Lengths()
    for nth in range(300):
        known.took("openai", "gpt", "default", 500, 5.0, float(nth))
        known.took("openai", "gpt", "flex", 500, 25.0, float(nth))
        known.took("openai", "gpt", "flex", 3, 60.0, float(nth))  # too short to say anything
    fast, slow = (known.pace("openai", "gpt", tier, 301.0) for tier in ("default", "flex"))
    assert fast.late_at(0.011 * PACE_TOKENS) < 0.05
    assert slow.late_at(0.045 * PACE_TOKENS) > 0.95
    assert slow.late_at(0.055 * PACE_TOKENS) < 0.05
    other = known.pace("openai", "new", "flex", 301.0)
    assert other.number == pytest.approx(4.0)
    assert other.late_at(0.03 * PACE_TOKENS) > 0.95, "as slow as this provider's flex"
    assert known.pace("openai", "new", "priority", 301.0).late_at(0.03 * PACE_TOKENS) == pytest.approx(0.5, abs=0.1)


def test_an_answer_that_the_provider_broke_off_never_ends() -> None:
    known = Lengths()
    for nth in range(1000):
        if nth % 20:
            known.took("openai", "gpt", "flex", 500, 5.0, float(nth))
        else:
            known.broke("openai", "gpt", "flex", float(nth))
    assert known.pace("openai", "gpt", "flex", 1001.0).late_at(UPPER_S[-1]) == pytest.approx(0.05, abs=0.01)


def test_longer_answers_since_an_hour_are_believed_soon() -> None:
    known = Lengths()
    now_s = fed(known, "gpt", "key", 100, 4000)
    assert longer(known, "gpt", "key", 1000, now_s) < 0.01
    now_s = fed(known, "gpt", "key", 2000, 60, now_s)
    assert longer(known, "gpt", "key", 1000, now_s) > 0.15
    now_s = fed(known, "gpt", "key", 100, 600, now_s)
    assert longer(known, "gpt", "key", 1000, now_s) < 0.05, "and forgotten"


def test_a_look_leaves_no_trace_and_sees_the_same() -> None:
    known = Lengths()
    for _ in range(50):
        known.ended("m", "key", 700, False, 1.0)
        known.took("p", "m", "flex", 700, 7.0, 1.0)
    before = known.keep(1.0, 0.0)
    for key, tier in (("key", "flex"), ("other", "default")):
        length, pace = known.length("m", key, 1.0, peek=True), known.pace("p", "m", tier, 1.0, peek=True)
        if key == "other":
            assert (known.keep(1.0, 0.0), len(known)) == (before, 2)
        for peeked, asked in ((length, known.length("m", key, 1.0)), (pace, known.pace("p", "m", tier, 1.0))):
            assert peeked.number == pytest.approx(asked.number)
            assert peeked.late_at(5.0) == pytest.approx(asked.late_at(5.0), rel=0.01)


def test_memory_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lengths, "MOST_SERIES", 20)
    known = Lengths()
    for nth in range(200):
        known.ended("gpt", f"key {nth}", 10, False, float(nth))
        known.ended("old", "kept in use", 10, False, float(nth))
        known.took("openai", f"model {nth}", "flex", 100, 1.0, float(nth))
    assert len(known) == 40
    paths = {kept.path for kept in known.keep(200.0, 1e9)}
    assert ("length", "old", "kept in use") in paths
    assert ("length", "gpt", "key 199") in paths
    assert ("length", "gpt", "key 100") not in paths
    assert ("pace", "openai", "model 0") not in paths, "nor the level above that has no other"
    assert len(paths) < 70


def test_who_asks_for_many_models_does_not_displace_what_was_learned_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lengths, "MOST_SERIES", 20)
    monkeypatch.setattr(lengths, "MOST_OF_ONE", 5)
    known = Lengths()

    def ask(key: str, provider: str, model: str, at_s: float) -> None:
        known.ended(model, key, 10, False, at_s)
        known.took(provider, model, "flex", 100, 1.0, at_s)

    for nth in range(30):
        ask("greedy", "wide", f"model {nth}", 0.0)
    for nth in range(12):
        ask(f"key {nth}", f"provider {nth}", "gpt", 1.0)
    for nth in range(200):
        ask("greedy", "wide", f"another {nth}", 2.0)
    assert len(known) == 40
    paths = {kept.path for kept in known.keep(3.0, 1e9)}
    assert all({("length", "gpt", f"key {n}"), ("pace", f"provider {n}", "flex", "gpt")} <= paths for n in range(12))
    assert sum(path[-1] == "greedy" for path in paths) == 8, "it has what the others leave"
    for nth in range(12, 40):
        ask(f"key {nth}", f"provider {nth}", "gpt", 3.0)
        ask("greedy", "wide", "another 199", 3.0)
    paths = {kept.path for kept in known.keep(4.0, 1e9)}
    assert sum(path[-1] == "greedy" for path in paths) == 1, "and keeps what it uses"
    assert ("length", "gpt", "key 39") in paths and ("length", "gpt", "key 12") not in paths


def test_what_was_learned_survives_a_restart_beside_the_starts() -> None:
    known, starts = Lengths(), LatencyModel()
    now_s = fed(known, "gpt", "key", 50, 300)
    known.took("openai", "gpt", "flex", 500, 25.0, now_s)
    starts.begin(Series("openai", "gpt", "flex"), now_s).end("started", now_s + 1.0)
    kept = known.keep(now_s, 1e9) + starts.keep(now_s, 1e9)
    empty = Kept(1e9, (), (), ())
    odd = [
        KeptSeries(path, empty, empty) for path in ((), ("length",), ("pace", "a", "b", "c", "d", "e"), ("else", "a"))
    ]

    again, starts_again = Lengths(), LatencyModel()
    again.take((*odd, *kept), 5.0, 1e9 + 60.0)
    starts_again.take((*odd, *kept), 5.0, 1e9 + 60.0)
    assert longer(again, "gpt", "key", 100, 5.0) == pytest.approx(longer(known, "gpt", "key", 100, now_s), abs=0.01)
    assert again.mean_tokens("gpt", "key", 1e4) == pytest.approx(known.mean_tokens("gpt", "key", 1e4), rel=0.05)
    assert again.pace("openai", "gpt", "flex", 5.0).number == pytest.approx(5.0, abs=0.01)
    assert len(again) == 2
    assert len(starts_again) == 1, "each takes its own"
    assert {one.path for one in starts_again.keep(5.0, 1e9)} == {one.path for one in starts.keep(5.0, 1e9)}


def test_the_pace_prior_is_one_curve() -> None:
    assert Lengths().pace("a", "b", None, 0.0).late_at(3.0) == pytest.approx(PACE_PRIOR.late_at(3.0))


def test_keys_of_which_nothing_was_seen_are_all_the_same() -> None:
    known = Lengths()
    now_s = fed(known, "gpt", "terse", 50, 100)
    new = known.length("gpt", "new", now_s)
    assert known.length("gpt", "newer", now_s) is new is known.length("gpt", "asked about", now_s, peek=True)
    assert new.number == pytest.approx(4.0), "and are surer of nothing than one that has just begun"
    assert known.length("gpt", "terse", now_s) is not new
    fed(known, "gpt", "newer", 900, 3, now_s)
    assert known.length("gpt", "newer", now_s + 10.0) is not known.length("gpt", "new", now_s + 10.0)
    assert longer(known, "gpt", "new", 300, now_s + 10.0) < 0.2 < longer(known, "gpt", "newer", 300, now_s + 10.0)
