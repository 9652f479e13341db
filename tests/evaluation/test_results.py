"""The small file says the same as the cells, and the page's table is what it prints."""

import pytest

from appliance.evaluation.report import markdown, summary
from appliance.evaluation.results import pack, unpack
from appliance.evaluation.study import SIZES, cells
from appliance.evaluation.verdict import judge
from tests.evaluation.test_verdict import cell
from tests.shape.sources import ROOT

PAGE = ROOT / "appliance/docs/evaluation.md"


def test_what_is_packed_is_judged_the_same() -> None:
    told = [cell(), cell(start=0.98, cost=0.63), cell(kind="drifting", attainable=0.9)]
    found = unpack(pack(told))
    assert [one.name for one in found] == [one.name for one in told]
    assert [judge(one).broken for one in found] == [judge(one).broken for one in told]
    assert [judge(one).ratio.value for one in found] == pytest.approx([judge(one).ratio.value for one in told])


def test_the_pages_table_is_that_of_the_run_that_is_kept() -> None:
    """Whole, with the summary: no row was left out or touched."""
    kept, page = unpack((PAGE.parent / "evaluation.json").read_bytes()), PAGE.read_text(encoding="utf-8")
    size = SIZES["standard"]
    assert [one.name for one in kept] == [f"{world.name}-{setting.name}" for world, setting in cells(size)]
    assert {(one.requests, len(one.explored)) for one in kept} == {(size.requests, size.seeds)}
    assert markdown(kept) in page
    assert summary([judge(one) for one in kept]) in page
