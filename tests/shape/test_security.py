"""SECURITY.md promises nothing without a test: each test that it names is there, and each promise names one.

Why: a page about security is read when something is at stake; a test that was renamed or removed must not go on being
cited. Whether the test shows what the promise says is for people to judge.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.shape.sources import ROOT

PAGE: Final = ROOT / "appliance/SECURITY.md"
CITED: Final = re.compile(r"`(tests/[\w/.]+?)(?:::(\w+))?`")


def promises(text: str) -> Iterator[tuple[str, str]]:
    """(promise, tests) of each row of the tables whose head is `promise | tested by`."""
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells == ["promise", "tested by"]:
            inside = True
        elif len(cells) != 2:
            inside = False
        elif inside and not cells[0].startswith("---"):
            yield cells[0], cells[1]


def named_in(file: Path) -> set[str]:
    """The names of the tests in a file, without its being imported."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, functions) and node.name.startswith("test_")}


def missing(text: str) -> list[str]:
    """What is cited and not there, and what is promised and cites nothing."""
    found = [f"no test is named for: {promise}" for promise, tests in promises(text) if not CITED.search(tests)]
    for path, name in CITED.findall(text):
        file = ROOT / path
        if name:
            if not file.is_file() or name not in named_in(file):
                found.append(f"{path}::{name} is not there")
        elif not (file.is_dir() or (file.is_file() and named_in(file))):
            found.append(f"{path} is not there, or has no tests")
    return found


def test_every_promise_has_its_test() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(list(promises(text))) > 20
    assert missing(text) == []


def test_the_page_is_found_from_where_people_begin() -> None:
    assert "(appliance/SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(SECURITY.md)" in (ROOT / "appliance/ARCHITECTURE.md").read_text(encoding="utf-8")


def test_the_checks_fire() -> None:
    head = "| promise | tested by |\n|---|---|\n"
    assert missing(head + "| all is well | `tests/shape/test_security.py::test_the_checks_fire` |") == []
    assert missing(head + "| all is well | `tests/shape/test_security.py::test_renamed` |") != []
    assert missing(head + "| all is well | `tests/shape/test_removed.py` |") != []
    assert missing(head + "| all is well | trust us |") == ["no test is named for: all is well"]
    assert missing("see `tests/shape/sources.py`") == ["tests/shape/sources.py is not there, or has no tests"]
