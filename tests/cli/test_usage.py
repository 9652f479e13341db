"""Usage from the command line."""

import pytest

from appliance.cli.race_watch import play
from appliance.cli.selftest import selftest_world
from appliance.cli.stage import staged
from tests.cli.terminal import Terminal
from tests.cli.test_race_watch import DEADLINE, WON


async def test_rows_totals_groups_filters_and_one_request(terminal: Terminal) -> None:
    import trio

    async with staged(selftest_world()) as stage:
        for scene in (WON, DEADLINE, WON):
            assert (await play(stage, scene, lambda *_: None)).wrong == ()
        terminal.environment["STARTLINE_DATA_FOLDER"] = str(stage.folder)

        def look() -> None:
            told = terminal.run("usage").stdout
            assert told.count("flex_won") == 2 and told.count("flex_deadline") == 1 and "3 of 3" in told
            answer = terminal.json("usage", "--by", "tier", "--limit", "1")
            assert {row["group"]: row["requests"] for row in answer["groups"]} == {"flex": 2, "default": 1}
            assert len(answer["requests"]) == 1 and answer["totals"]["requests"] == 3
            older = terminal.json("usage", "--before", answer["next"], "--limit", "5")["requests"]
            assert len(older) == 2
            assert "flex" in terminal.run("usage", "--by", "tier").stdout
            for words, count in (
                (("--tier", "default"), 1),
                (("--model", "gpt-5.4-mini"), 1),
                (("--key", "demo"), 3),
                (("--key", "other"), 0),
                (("--since", "1h"), 3),
                (("--until", "1h"), 0),
            ):
                assert terminal.json("usage", *words)["totals"]["requests"] == count, words
            raced = terminal.json("usage", "--tier", "default")["requests"][0]["request_id"]
            shown = terminal.run("usage", "--request", raced).stdout
            assert (
                "default (flex_deadline)" in shown and "✕" in shown and "●" in shown and "deadline met  True" in shown
            )
            assert "% for 99 %" in shown.partition("plan")[2].partition("\n")[0]
            assert len(terminal.json("usage", "--request", raced)["attempts"]) == 2

        await trio.to_thread.run_sync(look)


def test_of_nothing(terminal: Terminal) -> None:
    terminal.run("init")
    assert terminal.json("usage")["totals"]["requests"] == 0
    assert "0 of 0" in terminal.run("usage").stdout
    assert "no such request" in terminal.run("usage", "--request", "req_nothing", status=1).stderr


@pytest.mark.parametrize("words", [("--since", "soon"), ("--by", "colour"), ("--limit", "1001")])
def test_wrong_usage(terminal: Terminal, words: tuple[str, ...]) -> None:
    terminal.run("usage", *words, status=2)
