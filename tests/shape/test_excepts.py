"""A broad `except` tells somebody; `except BaseException` only closes and re-raises; none is bare.

Why: an exception that is swallowed is a fault that nobody hears of, and a swallowed `trio.Cancelled` breaks the
cancelling of losers.
"""

import ast
from collections.abc import Iterator
from typing import Final

from tests.shape.sources import Finding, Source, assert_none, dotted, findings, of_snippet, own_nodes, sources

LOG_METHODS: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})
CANCELLING: Final = frozenset({"BaseException", "BaseExceptionGroup", "Cancelled"})
BROAD: Final = frozenset({"Exception", "ExceptionGroup"})


def silent_excepts(source: Source) -> Iterator[Finding]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = _names(node.type)
            if node.type is None:
                yield source.finding("except", node, "a bare except: name the exceptions that are expected")
            elif CANCELLING & caught and not _reraises(node):
                yield source.finding("except", node, "cancellation is caught: close what is open, then a bare `raise`")
            elif BROAD & caught and not _tells(node):
                remedy = "name the exceptions that are expected, or log it, pass it on, or raise"
                yield source.finding("except", node, f"a broad except that tells nobody: {remedy}")
        elif isinstance(node, ast.Call) and dotted(node.func).rsplit(".")[-1] == "suppress":
            caught = {name for argument in node.args for name in _names(argument)}
            if (BROAD | CANCELLING) & caught:
                yield source.finding("except", node, "suppress() of everything: name the exceptions that are expected")


def _names(node: ast.expr | None) -> set[str]:
    parts = node.elts if isinstance(node, ast.Tuple) else [node] if node is not None else []
    return {dotted(part).rsplit(".")[-1] for part in parts}


def _reraises(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _tells(handler: ast.ExceptHandler) -> bool:
    for node in own_nodes(handler):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_METHODS:
            return True
        # The exception itself handed to somebody, kept, or returned.
        if handler.name and isinstance(node, ast.Name) and node.id == handler.name and isinstance(node.ctx, ast.Load):
            return True
    return False


def test_no_fault_is_swallowed() -> None:
    assert_none(findings(silent_excepts, sources()))


def test_the_check_fires() -> None:
    for body in (
        "except:\n    pass\n",
        "except Exception:\n    pass\n",
        "except (ValueError, Exception):\n    x = 1\n",
        "except* Exception as error:\n    x = 1\n",
        "except BaseException as error:\n    log.error('gone')\n",
        "except trio.Cancelled:\n    pass\n",
    ):
        assert of_snippet(silent_excepts, "try:\n    f()\n" + body), body
    assert of_snippet(silent_excepts, "with contextlib.suppress(Exception):\n    f()\n")
    for body in (
        "except ValueError:\n    pass\n",
        "except Exception:\n    log.exception('bad')\n",
        "except Exception as error:\n    report(error)\n",
        "except BaseException:\n    close()\n    raise\n",
    ):
        assert of_snippet(silent_excepts, "try:\n    f()\n" + body) == [], body
