"""No async generator, except under `@asynccontextmanager` or `@trio.as_safe_channel`.

Why: an async generator that is not run to its end is finalised at some later time, in another task, where neither
cancel scopes nor `finally` do what they say: a connection stays open, a loser runs on. A class with `__anext__` and
`aclose`, or a memory channel, closes when its user says so.
"""

import ast
from collections.abc import Iterator
from typing import Final

from tests.shape.sources import Finding, Source, assert_none, dotted, findings, of_snippet, own_nodes, sources

SAFE: Final = frozenset({"asynccontextmanager", "as_safe_channel"})
REMEDY = "write a class with __anext__ and aclose, send into a memory channel, or use @trio.as_safe_channel"


def bare_generators(source: Source) -> Iterator[Finding]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.AsyncFunctionDef):
            if SAFE & {dotted(decorator).rsplit(".")[-1] for decorator in node.decorator_list}:
                continue
            if any(isinstance(child, ast.Yield) for child in own_nodes(node)):
                yield source.finding("generator", node, f"{node.name} is a bare async generator: {REMEDY}")
        elif isinstance(node, ast.GeneratorExp) and any(loop.is_async for loop in node.generators):
            yield source.finding("generator", node, f"an async generator expression: {REMEDY}")


def test_no_bare_async_generator() -> None:
    assert_none(findings(bare_generators, sources()))


def test_the_check_fires() -> None:
    assert of_snippet(bare_generators, "async def f():\n    yield 1\n")
    assert of_snippet(bare_generators, "async def f():\n    x = yield\n")
    assert of_snippet(bare_generators, "async def f(a):\n    return (x async for x in a)\n")
    assert of_snippet(bare_generators, "@asynccontextmanager\nasync def f():\n    yield 1\n") == []
    assert of_snippet(bare_generators, "async def f():\n    def g():\n        yield 1\n    return list(g())\n") == []
