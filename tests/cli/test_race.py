"""`startline race simulate`: the smallest size, whole, and what it leaves behind."""

from pathlib import Path

import pytest

from tests.cli.terminal import Terminal


@pytest.mark.slow
@pytest.mark.parametrize("part", ["1/3", "2/3", "3/3"])
def test_the_smallest_size_breaks_no_promise(terminal: Terminal, tmp_path: Path, part: str) -> None:
    """Status 0: no cell's interval lies beyond a promise. Seeded, so it is the same everywhere."""
    told = terminal.json("race", "simulate", "--smoke", "--part", part, "--output", str(tmp_path))
    assert len(told["cells"]) == len(told["verdicts"]) == 3
    assert all(verdict["ratio"]["value"] < 1.15 for verdict in told["verdicts"])
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [*[".json"] * 4, ".md", ".svg", ".svg"]
    assert terminal.run("race", "simulate", "--part", part, "--output", str(tmp_path)).stdout.count("\n| ") == 3


def test_a_part_is_one_of_its_parts(terminal: Terminal) -> None:
    for part in ("0/2", "3/2", "1", "x/y", "1/2/3"):
        assert "is not like 1/2" in terminal.run("race", "simulate", "--part", part, status=2).stderr


def test_what_is_served_leaves_no_files(terminal: Terminal, tmp_path: Path) -> None:
    told = terminal.run("race", "simulate", "--served", "--output", str(tmp_path), status=2)
    assert "leaves no files" in told.stderr
