"""Imports only go down, and packages of one layer do not import each other; the two lowest layers are pure.

Why: whoever reads a file needs to know only what lies below it; a decision or a codec that does no I/O and reads no
clock is tested with plain values, and can be moved or replaced without a thought for the rest.
"""

import ast
from collections.abc import Iterator
from typing import Final

from tests.shape.sources import Finding, Source, assert_none, dotted, findings, of_snippet, sources

LAYERS: Final = {
    "__init__": -1,
    "domain": 0,
    "wire": 1,
    "http1": 1,
    "policy": 1,
    "settings": 1.5,  # may be imported by all above; it reads files, so it is not among the pure ones
    "net": 2,
    "store": 3,
    "archive": 3,
    "upstream": 3,
    "request": 4,
    "services": 5,
    "server": 5,
    "simulator": 5,
    "evaluation": 5,
    "plugins": 5,
    "app": 5.5,  # the composition root: builds what the layers below offer
    "cli": 6,
    "__main__": 7,
}
PURE: Final = frozenset({"domain", "wire", "http1", "policy"})
IMPURE_MODULES: Final = frozenset(
    "trio anyio asyncio apsw socket ssl select selectors time random secrets uuid os threading subprocess httpx "
    "hypercorn starlette signal tempfile shutil logging structlog concurrent multiprocessing".split()
)
IMPURE_CALLS: Final = frozenset({"open", "input", "print"})
CLOCK_READS: Final = frozenset({"now", "utcnow", "today"})


def imported(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            if node.module == "appliance":
                for alias in node.names:
                    yield f"appliance.{alias.name}", node
            else:
                yield node.module, node


def layer_breaches(source: Source) -> Iterator[Finding]:
    home = source.parts[1]
    if home not in LAYERS:
        remedy = "move it into one, or enter it in LAYERS of tests/shape/test_layers.py and in ARCHITECTURE.md"
        yield source.finding("layers", 1, f"`{home}` belongs to no layer: {remedy}")
        return
    for name, node in imported(source.tree):
        parts = name.split(".")
        if parts[0] != "appliance" or len(parts) < 2 or parts[1] == home or parts[1] == "__version__":
            continue
        if LAYERS.get(parts[1], -1) >= LAYERS[home]:
            remedy = "move the shared part down, or pass it in from app.py"
            yield source.finding("layers", node, f"{home} (L{LAYERS[home]}) must not import {name}: {remedy}")


def impurities(source: Source) -> Iterator[Finding]:
    if source.parts[1] not in PURE:
        return
    for name, node in imported(source.tree):
        if name.split(".")[0] in IMPURE_MODULES:
            remedy = "take the time, the random bytes or the data as an argument"
            yield source.finding("purity", node, f"{source.parts[1]} is pure and must not import {name}: {remedy}")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            if called in IMPURE_CALLS or ("date" in called and called.rsplit(".")[-1] in CLOCK_READS):
                yield source.finding("purity", node, f"{source.parts[1]} is pure: {called}() belongs in its caller")


def test_imports_go_down() -> None:
    assert_none(findings(layer_breaches, sources()))


def test_the_lowest_layers_are_pure() -> None:
    assert_none(findings(impurities, sources()))


def test_the_checks_fire() -> None:
    assert of_snippet(layer_breaches, "from appliance.server.listen import serve\n")
    assert of_snippet(layer_breaches, "def f():\n    import appliance.cli\n")
    assert of_snippet(layer_breaches, "from appliance import server\n")
    assert of_snippet(layer_breaches, "from appliance.wire import sse\n", "appliance/policy/race.py")
    assert of_snippet(layer_breaches, "", "appliance/stray.py")
    assert of_snippet(layer_breaches, "from appliance.request.race import run\nfrom appliance.wire import sse\n") == []
    for text in ("import time\n", "from os import environ\n", "import trio\n", "d = open('x')\n"):
        assert of_snippet(impurities, text, "appliance/policy/race.py"), text
    assert of_snippet(impurities, "import datetime\nx = datetime.datetime.now()\n", "appliance/wire/x.py")
    assert of_snippet(impurities, "import time\n", "appliance/request/race.py") == []
