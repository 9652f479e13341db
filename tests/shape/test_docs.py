"""Every setting, error code, reason, metric, route and command is in the documentation.

Why: what is not written down does not exist for the operator, and what is renamed in the code alone is a lie in the
docs. The registries are read from the code, so a new entry fails here until it is described. Documentation is
README.md, appliance/ARCHITECTURE.md and every other Markdown file below appliance/.
"""

import importlib
import importlib.util
import re
from collections.abc import Iterable, Mapping
from typing import Any

import click
import pytest

from tests.shape.sources import ROOT

Entry = tuple[str, str]

REGISTRIES = (
    # what, module, attribute, which field of an entry is its name, what a name looks like
    ("setting", "appliance.settings", "describe", "name", r"[a-z][\w.]*"),
    ("error code", "appliance.domain.errors", "FAULTS", "code", r"[a-z][\w]*"),
    ("reason", "appliance.domain.record", "REASONS", "reason", r"[a-z][\w]*"),
    ("route", "appliance.server.routes", "ROUTES", "path", r"/\S*"),
    ("metric", "appliance.server.metrics", "METRICS", "name", r"[a-z]\w*"),
)


def documentation() -> str:
    files = [ROOT / "README.md", *sorted((ROOT / "appliance").rglob("*.md"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.exists())


def mentioned(name: str, text: str) -> bool:
    """Whether NAME stands in TEXT as a word of its own."""
    return re.search(rf"(?<![\w/-]){re.escape(name)}(?![\w-])", text) is not None


def names_of(registry: Iterable[Any], field: str, form: str) -> list[str]:
    """Return the names in a registry: a mapping's keys, or its entries' field; of a tuple the part that fits."""
    found = []
    for entry in registry:
        named = getattr(entry, field, getattr(entry, "_name", entry))
        parts = named if isinstance(named, tuple) else (named,)
        found += [part for part in parts if isinstance(part, str) and re.fullmatch(form, part)][:1]
    return found


def commands_of(command: click.Command, prefix: str) -> list[str]:
    """Return `startline key create` and so on: every command of a click tree that is not hidden."""
    if not isinstance(command, click.Group):
        return [prefix]
    return [
        name
        for word, inner in sorted(command.commands.items())
        if not inner.hidden
        for name in commands_of(inner, f"{prefix} {word}")
    ]


def loaded(module: str) -> Any:
    """Return a module, or None as long as it, or the README that would describe it, has not been written."""
    if not (ROOT / "README.md").exists():
        return None
    parts = module.split(".")
    if not (ROOT.joinpath(*parts).with_suffix(".py").exists() or ROOT.joinpath(*parts, "__init__.py").exists()):
        return None
    return importlib.import_module(module)


def missing(what: str, names: Iterable[str], text: str) -> list[str]:
    return [
        f"{what} `{name}`: describe it in README.md or below appliance/" for name in names if not mentioned(name, text)
    ]


@pytest.mark.parametrize(
    ("what", "module", "attribute", "field", "form"), REGISTRIES, ids=[row[0] for row in REGISTRIES]
)
def test_every_entry_is_documented(what: str, module: str, attribute: str, field: str, form: str) -> None:
    holder = loaded(module)
    if holder is None:
        return
    registry = getattr(holder, attribute, None)
    if callable(registry):
        registry = registry()
    assert isinstance(registry, Mapping | tuple | list | frozenset), f"{module} has no table {attribute}"
    names = names_of(registry, field, form)
    assert len(names) == len(registry), f"{module}.{attribute}: {len(registry)} entries but {len(names)} names"
    lacking = missing(what, names, documentation())
    assert not lacking, "\n" + "\n".join(lacking)


def test_every_command_is_documented() -> None:
    holder = loaded("appliance.cli.main")
    if holder is None:
        return
    groups = [value for value in vars(holder).values() if isinstance(value, click.Group)]
    assert groups, "appliance.cli.main has no click group"
    lacking = missing("command", commands_of(groups[0], "startline"), documentation())
    assert not lacking, "\n" + "\n".join(lacking)


def test_the_checks_fire() -> None:
    assert missing("setting", ["idle_s"], "about `idle_s_more` and -idle_s") == ["setting `idle_s`: " + _REMEDY]
    assert missing("route", ["/v1/models"], "GET /v1/models lists them") == []
    assert names_of({"a": 1, ("GET", "/v1/x"): 2}, "path", r"/\S*") == ["/v1/x"]
    group = click.Group("g", commands={"key": click.Group("key", commands={"create": click.Command("create")})})
    assert commands_of(group, "startline") == ["startline key create"]


_REMEDY = "describe it in README.md or below appliance/"
