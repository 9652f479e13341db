"""One served Startline for each file of tests, on a data folder of its own."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.matrix import FEATURES, NODE_SPEAKERS, PROVIDERS, SPEAKERS, WITHOUT
from tests.end_to_end.processes import command
from tests.end_to_end.stage import PROVIDER_SECRET, Stage, staged

_SAID = {"passed": "yes", "skipped": "not run", "not run": "not run"}


@pytest.fixture(scope="module")
def whole_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("end-to-end")) as running:
        yield running


@pytest.fixture
def stage(whole_stage: Stage) -> Stage:
    """The stage of this file, with whatever other tests recorded left aside."""
    whole_stage.forget()
    return whole_stage


@pytest.fixture(scope="module")
def matrix_providers(whole_stage: Stage) -> None:
    """One provider of each family, that takes any model's name: the override of the simulator travels in it."""
    for name, row in PROVIDERS.items():
        base_url = whole_stage.provider_url.removesuffix("/v1") + row.path
        added = ["provider", "add", name, "--kind", row.kind, "--base-url", base_url, "--any-model"]
        added += ["--price-as", row.price_as, "--tiers", row.tiers]
        command(*added, environ=whole_stage.environ, given=PROVIDER_SECRET)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix of dialects and providers, if this run had it or a part of it."""
    results: dict[str, str] = {}
    reasons: dict[str, None] = {}
    for word in ("skipped", "passed", "failed", "error"):
        for report in terminalreporter.stats.get(word, []):
            _, found, cell = report.nodeid.partition("_matrix.py::test_cell[")
            if found:
                results[cell.rstrip("]")] = word
                if word == "skipped":
                    reasons[str(report.longrepr[2])] = None
    if not results:
        return
    terminalreporter.section("every dialect to every provider")
    terminalreporter.write_line(f"{'':>44}" + "".join(f"{feature[:10]:>12}" for feature in FEATURES))
    for speaker in (*SPEAKERS, *NODE_SPEAKERS):
        for provider in PROVIDERS:
            words = [results.get(f"{speaker}-{provider}-{feature}", "not run") for feature in FEATURES]
            if set(words) == {"not run"}:
                continue
            cells = []
            for feature, word in zip(FEATURES, words, strict=True):
                refused = word == "passed" and (speaker, provider, feature) in WITHOUT
                cells.append("refused" if refused else _SAID.get(word, word.upper()))
            terminalreporter.write_line(f"{speaker + ' → ' + provider:>44}" + "".join(f"{one:>12}" for one in cells))
    for reason in reasons:
        terminalreporter.write_line(reason)
