"""`startline race report`: the figures as text and JSON, and a page; what is not there is said."""

import pytest
import trio

from appliance.cli.race_watch import play
from appliance.cli.selftest import selftest_world
from appliance.cli.stage import staged
from tests.cli.races import with_races
from tests.cli.terminal import Terminal
from tests.cli.test_race_watch import DEADLINE, WON


def test_the_figures(terminal: Terminal) -> None:
    with_races(terminal)
    found = terminal.json("race", "report")
    assert found["all"]["requests"] == 400
    assert found["all"]["met"]["share"] > 0.97
    assert found["flex"]["hits"] + found["all"]["met"]["count"] > 400
    assert 0 < found["money"]["nanos"] < found["money"]["default_nanos"]
    assert found["money"]["explored_nanos"] > 0
    assert [line["name"] for line in found["models"]] == ["acme/m"]
    (bucket,) = found["buckets"]
    assert bucket["predicted"] == pytest.approx(0.992)
    told = terminal.run("race", "report").stdout
    for text in ("raced requests", "always default", "% saved", "latest_launch", "acme/m", "flex_deadline", "0.99"):
        assert text in told, text


def test_which_races(terminal: Terminal) -> None:
    with_races(terminal)
    assert terminal.json("race", "report", "--last", "50")["all"]["requests"] == 50
    until = terminal.json("race", "report", "--until", "2026-09-21T14:14:00Z")["all"]["requests"]
    since = terminal.json("race", "report", "--since", "2026-09-21T14:14:00Z")["all"]["requests"]
    assert until + since == 400
    assert min(until, since) > 0
    assert "no request with a deadline" in terminal.run("race", "report", "--model", "other", status=1).stderr
    assert "no organisation" in terminal.run("race", "report", "--organisation", "none", status=1).stderr
    terminal.run("race", "report", "--since", "soon", status=2)
    terminal.run("race", "report", "--last", "0", status=2)


def test_where_nothing_was_served(terminal: Terminal) -> None:
    assert "nothing has been served" in terminal.run("race", "report", status=1).stderr
    assert not terminal.folder.exists()
    terminal.run("init")
    assert "ask one with start_within" in terminal.run("race", "report", status=1).stderr


def test_the_page_is_written(terminal: Terminal) -> None:
    folder = with_races(terminal)
    told = terminal.run("race", "report", "--html", str(folder / "report.html"))
    assert told.stdout == ""
    assert "written to" in told.stderr
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert terminal.json("race", "report", "--html", str(folder / "again.html"))["all"]["requests"] == 400
    nowhere = str(folder / "none" / "report.html")
    assert "No such file" in terminal.run("race", "report", "--html", nowhere, status=1).stderr


async def test_what_a_running_server_records_is_reported(terminal: Terminal) -> None:
    async with staged(selftest_world()) as stage:
        for scene in (WON, DEADLINE, WON):
            assert (await play(stage, scene, lambda *_: None)).wrong == ()
        terminal.environment["STARTLINE_DATA_FOLDER"] = str(stage.folder)

        def look() -> None:
            found = terminal.json("race", "report")
            assert (found["all"]["requests"], found["all"]["met"]["hits"]) == (3, 3)
            assert (found["flex"]["hits"], found["launched"]["hits"]) == (2, 1)
            assert found["reasons"] == [["flex_won", 2], ["flex_deadline", 1]]
            assert found["unpredicted"] == 0, "the engine has planned each"
            assert 0 < found["money"]["nanos"] < found["money"]["default_nanos"]

        await trio.to_thread.run_sync(look)
