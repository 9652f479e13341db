"""One served Startline for each file of tests, on a data folder of its own."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.matrix import FEATURES, PROVIDERS, SPEAKERS, WITHOUT
from tests.end_to_end.stage import Stage, staged


@pytest.fixture(scope="module")
def whole_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("end-to-end")) as running:
        yield running


@pytest.fixture
def stage(whole_stage: Stage) -> Stage:
    """The stage of this file, with whatever other tests recorded left aside."""
    whole_stage.forget()
    return whole_stage


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix of dialects and providers, if this run had it."""
    results: dict[str, str] = {}
    for word in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(word, []):
            _, found, cell = report.nodeid.partition("test_matrix.py::test_cell[")
            if found:
                results[cell.rstrip("]")] = word
    if not results:
        return
    terminalreporter.section("every dialect to every provider")
    terminalreporter.write_line(f"{'':>36}" + "".join(f"{feature[:10]:>12}" for feature in FEATURES))
    for speaker in SPEAKERS:
        for provider in PROVIDERS:
            cells = []
            for feature in FEATURES:
                word = results.get(f"{speaker}-{provider}-{feature}", "not run")
                refused = word == "passed" and (speaker, provider, feature) in WITHOUT
                cells.append("refused" if refused else "yes" if word == "passed" else word.upper())
            terminalreporter.write_line(f"{speaker + ' → ' + provider:>36}" + "".join(f"{one:>12}" for one in cells))
