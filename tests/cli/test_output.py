"""What commands print."""

import pytest

from appliance.cli import output


def test_a_table_has_its_cells_and_no_markup_of_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    output.say_table(("name", ">count"), [("[bold]x[/bold]", 5), (None, 12_345)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["name", "count"], ["[bold]x[/bold]", "5"], ["–", "12345"]]
    assert lines[1].endswith("    5"), "numbers stand below each other"


def test_facts_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.say_facts([("a", 1), ("longer", None)])
    output.say_json({"a": [1]})
    assert capsys.readouterr().out == 'a       1\nlonger  –\n{\n  "a": [\n    1\n  ]\n}\n'


def test_a_remark_is_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    output.remark("by the way")
    assert capsys.readouterr() == ("", "by the way\n")


def test_figures() -> None:
    assert output.dollars(1_234_567) == "$0.001235" and output.dollars(None) is None
    assert output.moment(0) == "1970-01-01 00:00:00" and output.moment(None) is None
    assert output.seconds(1.23456) == "1.235 s" and output.seconds(None) is None
    assert (output.listed(None), output.listed([]), output.listed(["a", "b"])) == ("all", "none", "a, b")
