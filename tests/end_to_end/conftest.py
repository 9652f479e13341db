"""One served Startline for each file of tests, on a data folder of its own."""

from collections.abc import Iterator

import pytest

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
