"""`shield=True` stands only where a deadline stands beside it.

Why: a shielded await cannot be cancelled; without a deadline one peer that stops reading keeps a loser alive, holds
up the shutdown, and breaks the promise that losers are closed at once.
"""

import ast
from collections.abc import Iterator
from typing import Final

from tests.shape.sources import Finding, Source, assert_none, dotted, findings, of_snippet, sources

BOUNDED: Final = frozenset({"move_on_after", "move_on_at", "fail_after", "fail_at"})
REMEDY = "write trio.move_on_after(seconds, shield=True)"


def unbounded_shields(source: Source) -> Iterator[Finding]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            shield = keywords.get("shield")
            if shield is None or (isinstance(shield, ast.Constant) and shield.value is False):
                continue
            bounds = [keywords.get(name) for name in ("deadline", "relative_deadline") if name in keywords]
            if dotted(node.func).rsplit(".")[-1] in BOUNDED:
                bounds += [*node.args[:1], *(keywords[name] for name in ("seconds", "deadline") if name in keywords)]
            if not any(bound is not None and dotted(bound) not in {"math.inf", "inf"} for bound in bounds):
                yield source.finding("shield", node, f"a shield without a deadline: {REMEDY}")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr == "shield" and not _is_false(node.value):
                    yield source.finding("shield", node, f"a shield put up afterwards hides its deadline: {REMEDY}")


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_every_shield_has_a_deadline() -> None:
    assert_none(findings(unbounded_shields, sources()))


def test_the_check_fires() -> None:
    for text in (
        "with trio.CancelScope(shield=True): pass\n",
        "with trio.CancelScope(shield=flag): pass\n",
        "with trio.move_on_after(math.inf, shield=True): pass\n",
        "scope.shield = True\n",
    ):
        assert of_snippet(unbounded_shields, text), text
    for text in (
        "with trio.move_on_after(2, shield=True): pass\n",
        "with trio.CancelScope(deadline=then, shield=True): pass\n",
        "scope.shield = False\n",
    ):
        assert of_snippet(unbounded_shields, text) == [], text
