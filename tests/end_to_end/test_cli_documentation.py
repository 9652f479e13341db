"""The tables of the documentation say what the code does: defaults, statuses, methods, first lines of help."""

import re

import click

from appliance.cli.main import startline
from appliance.domain.errors import FAULTS
from appliance.domain.record import REASONS
from appliance.server.metrics import METRICS
from appliance.server.queues import QUEUES
from appliance.server.routes import PROBES, ROUTES, ours
from appliance.settings import describe
from tests.shape.sources import ROOT


def rows(page: str) -> list[list[str]]:
    """The cells of all tables of a page, less heads and rules."""
    text = (ROOT / "appliance/docs" / page).read_text()
    cells = [
        [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line[:1] == "|"
    ]
    return [
        row
        for at, row in enumerate(cells)
        if not row[0].startswith("---") and not (cells[at + 1 : at + 2] and cells[at + 1][0].startswith("---"))
    ]


def test_settings() -> None:
    wanted = [
        [name, kind, default, text + (" Secret." if secret else "")] for name, kind, default, text, secret in describe()
    ]
    assert rows("settings.md") == wanted


def test_error_codes_and_reasons() -> None:
    faults = [[k.code, k.klass, str(k.status), "yes" if k.retryable else "no", k.remedy] for k in FAULTS.values()]
    assert rows("errors.md") == faults + [[name, text] for name, text in REASONS.items()]


def test_metrics() -> None:
    told = [[name, text.replace("`", "")] for name, text in rows("metrics.md")]
    assert told == [[name, text.replace("`", "")] for name, text in METRICS + QUEUES]


def test_routes() -> None:
    told = [(row[0], row[1], row[2]) for row in rows("routes.md") if row[0] in ("GET", "POST", "PATCH", "DELETE")]
    assert [(method, path) for method, path, _ in told] == list(ROUTES)
    for method, path, who in told:
        if path.startswith("/admin/v1/organisations") and method != "GET":
            assert who.startswith("the operator"), path
            continue
        public = path in ("/healthz", "/docs/errors") or (method, path) in PROBES
        assert who.startswith("anyone" if public else "sk-sl-" if ours(path.encode()) else "mk-sl-"), path


def test_commands() -> None:
    def walk(command: click.Command, words: str) -> list[list[str]]:
        if isinstance(command, click.Group):
            return [row for name, inner in command.commands.items() for row in walk(inner, f"{words} {name}")]
        example = (command.epilog or "").removeprefix("Example: ").split("; ")[0].replace("|", "\\|")
        return [[words, (command.help or "").split("\n")[0], example]]

    assert sorted(rows("commands.md")) == sorted(walk(startline, "startline"))
