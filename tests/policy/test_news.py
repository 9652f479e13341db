"""Good news: believed soon where it is great, hardly ever where there is none."""

from random import Random

from appliance.policy.buckets import bucket
from appliance.policy.news import News
from appliance.policy.survival import log_normal

WELL, ILL = log_normal(8.0, 1.1), log_normal(320.0, 1.1)


def test_a_few_quick_starts_refute_a_slow_curve() -> None:
    news, doubt, found = News(), News(), []
    for _ in range(9):
        news.hear("started", bucket(8.0), ILL)
        doubt.hear("started", bucket(8.0), ILL)
        found.append((news.quicker(ILL, (), True), doubt.quicker(ILL, (), False)))
    assert [after for after, _ in found].index(True) <= 2
    assert [all_known for _, all_known in found].index(True) <= 6, "it takes more to doubt all that is known"
    assert found.count((True, False)) >= 2, "and the sum begins anew"


def test_attempts_that_are_silent_still_speak_against_it() -> None:
    news = News()
    for _ in range(4):
        news.hear("started", bucket(2.0), WELL)
    assert not news.quicker(WELL, [20.0] * 10, True), "of fourteen that began together four quick ones are no news"
    assert news.quicker(WELL, [], True)


def test_what_is_as_believed_is_no_news() -> None:
    random = Random(7)
    news, heard, lost = News(), 0, log_normal(8.0, 1.1, lost=0.05)
    for _ in range(20_000):
        took_s = random.lognormvariate(0.0, 1.1) * 8.0
        if random.random() < 0.05:
            news.hear("lost", 0, lost)
        else:
            news.hear("started" if took_s < 30.0 else "censored", bucket(min(took_s, 30.0)), lost)
        heard += news.quicker(lost, (), False) + news.safer()
    assert heard <= 2


def test_losses_that_have_ended_are_found_out() -> None:
    believed = log_normal(8.0, 1.1, lost=0.2)
    news = News()
    heard = 1
    while not news.safer():
        news.hear("started", bucket(8.0), believed)
        heard += 1
    assert 20 < heard < 60
    for _ in range(10):
        news.hear("started", bucket(8.0), believed)
    news.hear("lost", 0, believed)
    for _ in range(35):
        news.hear("started", bucket(8.0), believed)
        assert not news.safer(), "one loss undoes some ten starts"
