"""Reading the project's own source for the shape tests: parsed files, findings, and the exceptions that were granted.

A finding is printed as `file:line: [rule] what is wrong. Remedy`. A comment `# shape: allow RULE because REASON` on
the line of the finding, or on the line above it, grants an exception; without a reason it grants nothing.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = frozenset(
    {"layers", "purity", "size", "name", "shield", "generator", "except", "state", "import-work", "units", "mirror"}
)
ALLOW = re.compile(r"#\s*shape:\s*allow\s+(?P<rule>[\w-]+)(?:\s+because\s+(?P<reason>\S.*))?")
LEAST_WORDS_OF_A_REASON = 3


@dataclass(frozen=True)
class Finding:
    """One breach of one rule: where, which, and a sentence with the remedy."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: [{self.rule}] {self.message}"


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the top of the checkout, with slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.path.removesuffix(".py").split("/"))

    def finding(self, rule: str, where: ast.AST | int, message: str) -> Finding:
        return Finding(self.path, where if isinstance(where, int) else getattr(where, "lineno", 1), rule, message)

    def allows(self, rule: str, line: int) -> bool:
        """Whether a comment with a reason on this line, or the one above, grants an exception."""
        for number in (line, line - 1):
            if 1 <= number <= len(self.lines) and (found := ALLOW.search(self.lines[number - 1])):
                reason = found["reason"] or ""
                if found["rule"] == rule and len(reason.split()) >= LEAST_WORDS_OF_A_REASON:
                    return True
        return False


Check = Callable[[Source], Iterator[Finding]]


@lru_cache(maxsize=4)
def sources(folder: str = "appliance") -> tuple[Source, ...]:
    """Return every Python file under a top-level folder, in order of path."""
    found = sorted((ROOT / folder).rglob("*.py"))
    return tuple(Source(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")) for file in found)


def findings(check: Check, subjects: tuple[Source, ...]) -> list[Finding]:
    """Return what CHECK says of SUBJECTS, less the exceptions granted."""
    return [
        finding for source in subjects for finding in check(source) if not source.allows(finding.rule, finding.line)
    ]


def of_snippet(check: Check, text: str, path: str = "appliance/request/example.py") -> list[Finding]:
    """Return what CHECK says of a piece of text: for the tests that show that a check can fail."""
    return findings(check, (Source(path, text),))


def assert_none(found: list[Finding]) -> None:
    """Fail with one line per finding."""
    assert not found, "\n" + "\n".join(map(str, found))


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for a name or an attribute of names, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (prefix := dotted(node.value)):
        return f"{prefix}.{node.attr}"
    return ""


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Walk a function without entering the functions, lambdas and classes inside it."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from own_nodes(child)
