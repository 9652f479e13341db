"""The table and the picture: every cell, every policy; what is broken is named."""

from xml.etree import ElementTree

from appliance.evaluation.report import COLOURS, markdown, pictures, summary
from appliance.evaluation.study import SIZES, cells, play
from appliance.evaluation.verdict import judge
from tests.evaluation.test_study import TINY
from tests.evaluation.test_verdict import cell


def test_the_table_has_a_row_for_each_cell() -> None:
    world, setting = cells(SIZES["smoke"])[0]
    whole = play(world, setting, TINY, lambda: None)
    lines = markdown([whole, whole]).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {lines[0].count("|")}
    assert lines[2].startswith("| lognormal | 3 s, 0.9")
    for drawn in pictures([whole, whole]).values():
        circles = [one for one in ElementTree.fromstring(drawn).iter() if one.tag.endswith("circle")]
        assert len(circles) == 3 * len(COLOURS), "the legend and two rows"


def test_the_summary_counts() -> None:
    verdicts = [judge(cell()), judge(cell(start=0.9)), judge(cell(attainable=0.0))]
    assert summary(verdicts).startswith("1 of 2 cells hold every promise; in 1 more")
