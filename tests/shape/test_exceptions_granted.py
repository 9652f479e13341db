"""Exceptions to the rules of shape are rare and say why.

Why: a rule with silent exceptions is no rule; the reason in the comment is what the next reader judges.
"""

from collections.abc import Iterator

from tests.shape.sources import ALLOW, LEAST_WORDS_OF_A_REASON, RULES, Finding, Source, assert_none, of_snippet, sources

MOST_EXCEPTIONS = 25


def unreasoned(source: Source) -> Iterator[Finding]:
    for number, line in enumerate(source.lines, 1):
        if found := ALLOW.search(line):
            if found["rule"] not in RULES:
                yield source.finding("exception", number, f"no rule {found['rule']!r}; there are {sorted(RULES)}")
            if len((found["reason"] or "").split()) < LEAST_WORDS_OF_A_REASON:
                yield source.finding("exception", number, "grants nothing: write `because` and a reason after the rule")


def test_each_exception_names_its_rule_and_reason() -> None:
    assert_none([finding for source in sources() for finding in unreasoned(source)])


def test_exceptions_stay_rare() -> None:
    granted = [f"{source.path}: {line.strip()}" for source in sources() for line in source.lines if ALLOW.search(line)]
    assert len(granted) <= MOST_EXCEPTIONS, "\n".join(["too many exceptions: change the code or the rule", *granted])


def test_the_check_fires() -> None:
    mark = "# shape: " + "allow "
    assert len(of_snippet(unreasoned, f"x = 1  {mark}units\n")) == 1
    assert len(of_snippet(unreasoned, f"x = 1  {mark}nonsense because it was so before\n")) == 1
    assert of_snippet(unreasoned, f"x = 1  {mark}units because the protocol names it so\n") == []
