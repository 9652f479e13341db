"""Each source file has its test file at the mirrored place, and each test file there has its source file.

Why: whoever changes `appliance/http1/head.py` knows that `tests/http1/test_head.py` says what must stay true; and a
file without one has no stated behaviour. Files that hold only structs, constants or protocols need none. Large
subjects may have more: `test_head_limits.py` belongs to head.py too.
"""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from tests.shape.sources import ROOT, Finding, Source, assert_none, findings, of_snippet, sources

NOT_MIRRORED: Final = frozenset({"shape", "golden", "end_to_end", "disk", "bench", "fuzz", "soak", "packaging"})


def expected_test(path: str) -> str:
    """Return where the test file of a source file lies: appliance/http1/head.py → tests/http1/test_head.py."""
    inner = PurePosixPath(path).relative_to("appliance")
    return str(PurePosixPath("tests") / inner.parent / f"test_{inner.name}")


def behaves(tree: ast.Module) -> bool:
    """Whether some function or method does more than `...`."""
    return any(
        not (isinstance(last := node.body[-1], ast.Expr) and isinstance(last.value, ast.Constant))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def untested(source: Source) -> Iterator[Finding]:
    wanted = expected_test(source.path)
    if source.parts[-1] != "__main__" and behaves(source.tree) and not (ROOT / wanted).exists():
        yield source.finding("mirror", 1, f"has no test file: write {wanted}")


def orphans(tests: list[str], subjects: list[str]) -> list[Finding]:
    found = []
    for path in tests:
        inner = PurePosixPath(path).relative_to("tests")
        if inner.parts[0] in NOT_MIRRORED or not inner.name.startswith("test_"):
            continue
        folder = PurePosixPath("appliance") / inner.parent
        stems = {PurePosixPath(subject).stem for subject in subjects if PurePosixPath(subject).parent == folder}
        own = inner.stem.removeprefix("test_")
        if not any(own == stem or own.startswith(f"{stem}_") for stem in stems):
            remedy = "name it after the file that it tests, or move it to tests/end_to_end"
            found.append(Finding(path, 1, "mirror", f"tests no file of {folder}: {remedy}"))
    return found


def test_each_source_file_has_its_test_file() -> None:
    assert_none(findings(untested, sources()))


def test_each_test_file_has_its_source_file() -> None:
    assert_none(orphans([source.path for source in sources("tests")], [source.path for source in sources()]))


def test_the_checks_fire() -> None:
    path = "appliance/request/nothing_like_it.py"
    assert of_snippet(untested, "def f():\n    return 1\n", path)
    assert of_snippet(untested, "class A(Protocol):\n    def f(self):\n        ...\n", path) == []
    assert of_snippet(untested, '"""Docs."""\nX = 1\n', path) == []
    subjects = ["appliance/http1/head.py"]
    assert orphans(["tests/http1/test_tail.py"], subjects)
    assert orphans(["tests/http1/test_head.py", "tests/http1/test_head_limits.py"], subjects) == []
    assert orphans(["tests/end_to_end/test_anything.py", "tests/http1/conftest.py"], subjects) == []
