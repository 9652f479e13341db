"""Names tell their unit: durations end in `_s`, sizes in `_bytes`, money in `_nanos` or `_picos`.

Why: a number without its unit is read as another one sooner or later; a timeout of 500 that was meant as
milliseconds holds a request for eight minutes. Looked at are parameters, struct fields, attributes and variables.
"""

import ast
import re
from collections.abc import Iterator
from typing import Final

from tests.shape.sources import Finding, Source, assert_none, findings, of_snippet, sources

UNITS: Final = (
    (
        re.compile(
            r"(?:^|_)(?:timeout|interval|delay|duration|ttl|grace)$|[a-z0-9]_(?:secs?|seconds|ms|msec|millis|minutes)$"
        ),
        "a duration is in seconds and ends in _s",
    ),
    (
        re.compile(
            r"_(?:kb|mb|gb|kib|mib|gib|octets)$|(?:^|_)(?:body|file|head|segment|buffer|disk|memory|wire)_size$"
        ),
        "a size is in bytes and ends in _bytes",
    ),
    (
        re.compile(r"(?:^|_)(?:usd|dollars?|cents?|micros)$"),
        "money is an integer and ends in _nanos (nano-dollars) or _picos",
    ),
)
NOT_AMOUNTS: Final = re.compile(r"_per_|unix_(?:micros|ms)$", re.IGNORECASE)


def unitless(source: Source) -> Iterator[Finding]:
    for node in ast.walk(source.tree):
        name = _bound(node)
        if not name or NOT_AMOUNTS.search(name):
            continue
        for pattern, remedy in UNITS:
            if pattern.search(name.lower()):
                yield source.finding("units", node, f"`{name}`: {remedy}")


def _bound(node: ast.AST) -> str:
    """Return the name that this node binds as a parameter, a variable, a field or an attribute."""
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return node.attr
    return ""


def test_names_tell_their_unit() -> None:
    assert_none(findings(unitless, sources()))


def test_the_check_fires() -> None:
    for text in (
        "def f(timeout): ...\n",
        "class A:\n    idle_timeout: float\n",
        "read_ms = 5\n",
        "self.max_mb = 5\n",
        "def f(*, body_size: int): ...\n",
        "cost_usd = 1.5\n",
    ):
        assert of_snippet(unitless, text), text
    for text in ("def f(timeout_s): ...\n", "NANOS_PER_USD = 1\n", "at_unix_ms = 1\n", "batch_size = 64\n"):
        assert of_snippet(unitless, text) == [], text
