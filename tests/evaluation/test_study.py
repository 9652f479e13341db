"""Cells: which, kept in files, taken up again."""

from pathlib import Path

from appliance.evaluation import study as module
from appliance.evaluation.run import Served
from appliance.evaluation.setting import SETTINGS
from appliance.evaluation.study import SIZES, Cell, Size, cells, study

TINY = Size(1, 2, 60, 200)


def test_all_settings_are_used_from_standard_on() -> None:
    assert {setting for _, setting in cells(SIZES["standard"])} == set(SETTINGS)
    assert len({(world.name, setting) for world, setting in cells(SIZES["full"])}) == 9 * 24


def test_what_is_done_is_read_and_the_parts_make_the_whole(tmp_path: Path) -> None:
    steps: list[int] = []

    def run(part: tuple[int, int]) -> list[Cell]:
        return list(study(TINY, tmp_path, part, lambda: steps.append(1)))

    found = [*run((1, 2)), *run((2, 2))]
    assert len(found) == len(cells(TINY))
    assert len(steps) == 2 * len(found)
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert {cell.name for cell in run((1, 1))} == {cell.name for cell in found}
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before
    first = run((1, len(found)))
    (tmp_path / f"{first[0].name}.json").unlink()
    assert run((1, len(found))) == first, "the same again: it is seeded"


def test_the_worst_window_is_found() -> None:
    served = [Served(1.0 if nth < 2500 or nth >= 3000 else 99.0, 1.0, True) for nth in range(5000)]
    figures = module._figures(served, 10.0)
    assert figures.start == 0.9
    assert figures.worst == 0.75
