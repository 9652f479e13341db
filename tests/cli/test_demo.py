"""The demo: every way in which a race can end is shown, and one that ends otherwise fails it."""

import re
from pathlib import Path

import pytest

from appliance.cli import demo
from appliance.cli.race_watch import Scene
from appliance.domain.record import REASONS
from tests.cli.live import running
from tests.cli.terminal import Terminal

SHORT = (
    Scene("flex has no capacity", "gpt-5.4", "flex_capacity", "default", "10s", stream=False),
    Scene("flex says 200 and then fails", "gpt-5.5", "flex_upstream_error", "default", "10s"),
)


def test_the_scenes_show_every_way_in_which_two_tiers_can_race() -> None:
    shown = {scene.reason for scene in demo.scenes()}
    elsewhere = {
        "flex_not_started",
        "flex_slots_full",
        "flex_breaker_open",
        "flex_skipped",
        "hedges_capped",
        "joint_failure",
        "not_raced",
        "chain_advanced",
    }
    assert shown == set(REASONS) - elsewhere
    assert {scene.endpoint for scene in demo.scenes()} == {"chat", "responses"}


def test_it_shows_races_and_ends(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "scenes", lambda: SHORT)
    told = terminal.run("demo", "--exit").stdout
    assert re.search(r"base URL   http://127\.0\.0\.1:\d+/v1\n  API key    sk-sl-", told)
    assert re.search(r"flex +refuses: 429 flex_unavailable\n +\d\.\d{3} s  default +asked", told)
    assert "flex_upstream_error: served by default; cost $" in told
    assert len(re.findall(r"  ok *\n", told)) == 2 and "Paid $" in told
    assert not terminal.folder.exists(), "the user's folder is not touched"


def test_a_race_that_came_out_wrong_fails_it(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Scene("flex wins", "gpt-5.4", "flex_won", "flex", "10s")
    monkeypatch.setattr(demo, "scenes", lambda: (wrong,))
    assert "WRONG: reason flex_capacity, not flex_won" in terminal.run("demo", "--exit", status=1).stdout


def test_a_script_gets_each_race_with_its_record(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "scenes", lambda: SHORT)
    told = terminal.json("demo", "--exit")
    assert [race["detail"]["request"]["reason"] for race in told["races"]] == ["flex_capacity", "flex_upstream_error"]
    assert all(race["wrong"] == [] for race in told["races"])
    assert told["base_url"].startswith("http://127.0.0.1:") and told["api_key"].startswith("sk-sl-")


@pytest.mark.sockets
@pytest.mark.slow
def test_the_whole_demo_then_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    with running(tmp_path, "demo") as shown:
        base_url = shown.told(r"base URL   (\S+)")
        shown.told(r"(Ctrl-C) ends it")
        text = shown.out.read_text(errors="replace")
        assert "WRONG" not in text and len(re.findall(r"  ok *\n", text)) == len(demo.scenes())
        assert base_url in text.split("Still serving at ")[1]
        assert shown.stop(2) == 0
    assert shown.err.read_text() == ""
