"""A source file has at most 400 lines, and at least half of them at most 200.

Why: a file is the unit in which people read and change; past that length it holds more than one subject.
"""

import statistics
from collections.abc import Iterator

from tests.shape.sources import Finding, Source, assert_none, findings, of_snippet, sources

MOST_LINES = 400
MOST_LINES_OF_HALF = 200


def too_long(source: Source) -> Iterator[Finding]:
    if len(source.lines) > MOST_LINES:
        message = f"{len(source.lines)} lines, at most {MOST_LINES}: split it by subject, not by size"
        yield source.finding("size", 1, message)


def test_no_file_is_too_long() -> None:
    assert_none(findings(too_long, (*sources(), *sources("packaging"))))


def test_most_files_are_short() -> None:
    lengths = [len(source.lines) for source in sources()]
    assert statistics.median(lengths) <= MOST_LINES_OF_HALF


def test_the_check_fires() -> None:
    assert of_snippet(too_long, "x = 1\n" * (MOST_LINES + 1))
    assert of_snippet(too_long, "x = 1\n" * MOST_LINES) == []
