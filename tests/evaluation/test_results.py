"""The small file says the same as the cells, and the page's table is what it prints."""

import pytest

from appliance.evaluation.report import markdown, summary
from appliance.evaluation.results import pack, unpack
from appliance.evaluation.study import SIZES, cells
from appliance.evaluation.verdict import judge
from tests.evaluation.test_verdict import cell
from tests.shape.sources import ROOT

DOCS = ROOT / "appliance/docs"


def test_what_is_packed_is_judged_the_same() -> None:
    told = [cell(), cell(start=0.98, cost=0.63), cell(kind="drifting", attainable=0.9)]
    found = unpack(pack(told))
    assert [one.name for one in found] == [one.name for one in told]
    assert [judge(one).broken for one in found] == [judge(one).broken for one in told]
    assert [judge(one).ratio.value for one in found] == pytest.approx([judge(one).ratio.value for one in told])


@pytest.mark.parametrize(("name", "size"), [("evaluation", "standard"), ("evaluation-full", "full")])
def test_the_pages_table_is_that_of_the_run_that_is_kept(name: str, size: str) -> None:
    """Whole, with the summary: no row was left out or touched."""
    kept = unpack((DOCS / f"{name}.json").read_bytes())
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    asked = SIZES[size]
    assert [one.name for one in kept] == [f"{world.name}-{setting.name}" for world, setting in cells(asked)]
    assert {(one.requests, len(one.explored)) for one in kept} == {(asked.requests, asked.seeds)}
    assert markdown(kept) in page
    assert summary([judge(one) for one in kept]) in page


def test_the_standard_runs_cells_are_among_the_full_ones() -> None:
    standard, full = (unpack((DOCS / name).read_bytes()) for name in ("evaluation.json", "evaluation-full.json"))
    assert all(cell in full for cell in standard)
