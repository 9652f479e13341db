"""Good news: believed soon where it is great, hardly ever where there is none."""

from random import Random

from appliance.policy.buckets import bucket
from appliance.policy.news import News
from appliance.policy.survival import log_normal

WELL, ILL = log_normal(8.0, 1.1), log_normal(320.0, 1.1)


def test_a_few_quick_starts_refute_a_slow_curve() -> None:
    news, doubt, found = News(), News(), []
    for nth in range(9):
        news.hear("started", bucket(8.0), 10.0 * nth, ILL, True)
        doubt.hear("started", bucket(8.0), 10.0 * nth, ILL, False)
        found.append((news.quicker(ILL, (), 100.0, True), doubt.quicker(ILL, (), 100.0, False)))
    assert [after for after, _ in found].index(True) <= 2
    assert [all_known for _, all_known in found].index(True) <= 6, "it takes more to doubt all that is known"
    assert found.count((True, False)) >= 2, "and the sum begins anew"


def test_attempts_that_are_silent_still_speak_against_it() -> None:
    news = News()
    for nth in range(4):
        news.hear("started", bucket(2.0), float(nth), WELL, True)
    assert not news.quicker(WELL, [2.0] * 10, 20.0, True), "of fourteen that began together four quick ones are no news"
    assert news.quicker(WELL, [], 20.0, True)


def test_what_began_before_the_change_says_nothing_of_it() -> None:
    """Trials of the bad time end silent long after those of the good time have started."""
    news = News()
    for nth in range(6):
        news.hear("started", bucket(4.0), 100.0 + nth, ILL, True)
        for _ in range(3):
            news.hear("censored", bucket(120.0), 90.0 - nth, ILL, True)
    assert news.quicker(ILL, [50.0] * 5, 220.0, True)
    for nth in range(6):
        news.hear("started", bucket(4.0), 100.0 + nth, ILL, True)
        for _ in range(3):
            news.hear("censored", bucket(500.0), 110.0 + nth, ILL, True)
    assert not news.quicker(ILL, [], 700.0, True), "what began since then does"


def test_what_is_as_believed_is_no_news() -> None:
    random = Random(7)
    news, heard, lost = News(), 0, log_normal(8.0, 1.1, lost=0.05)
    for _ in range(20_000):
        took_s = random.lognormvariate(0.0, 1.1) * 8.0
        if random.random() < 0.05:
            news.hear("lost", 0, 0.0, lost, False)
        else:
            news.hear("started" if took_s < 30.0 else "censored", bucket(min(took_s, 30.0)), 0.0, lost, False)
        heard += news.quicker(lost, (), 0.0, False) + news.safer()
    assert heard <= 2


def test_losses_that_have_ended_are_found_out() -> None:
    believed = log_normal(8.0, 1.1, lost=0.2)
    news = News()
    heard = 1
    while not news.safer():
        news.hear("started", bucket(8.0), 0.0, believed, False)
        heard += 1
    assert 20 < heard < 60
    for _ in range(10):
        news.hear("started", bucket(8.0), 0.0, believed, False)
    news.hear("lost", 0, 0.0, believed, False)
    for _ in range(35):
        news.hear("started", bucket(8.0), 0.0, believed, False)
        assert not news.safer(), "one loss undoes some ten starts"
