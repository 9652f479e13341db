"""`try`: the first request, with and without a server; and what is left of it."""

from pathlib import Path
from typing import Any

import pytest

from appliance.cli.first_request import _choose
from tests.cli.live import running
from tests.cli.terminal import Terminal


@pytest.mark.sockets
def test_the_first_request_races_in_this_process_and_over_a_server(terminal: Terminal, tmp_path: Path) -> None:
    fixed = {"STARTLINE_RESERVE_S": "{ default = 5.0 }"}
    terminal.environment.update(fixed)
    with running(tmp_path, "simulator", "--port", "0") as simulator:
        url = simulator.told(r"base URL +(\S+)")
        options = ("--tiers", "flex,default,priority", "--price-as", "openai")
        terminal.run("provider", "add", "sim", "--base-url", url, *options, stdin="sk-sim-x")
        told = terminal.run("try", "hello", "--model", "gpt-5.4-nano")
        assert "flex_won: served by flex" in told.stdout and "50 % saved" in told.stdout
        assert "gpt-5.4-nano, start_within 30s" in told.stderr
        with running(tmp_path, "serve", "--port", "0", STARTLINE_DATA_FOLDER=str(terminal.folder), **fixed) as server:
            server.told(r'"event":"(serving)"')
            shown = terminal.json("try", "hello", "--model", "gpt-5.4", "--start-within", "9s")
            assert shown["request"]["reason"] == "flex_capacity" and len(shown["text"]) > 20
            assert [one["outcome"] for one in shown["attempts"]] == ["refused", "won"]
            refused = terminal.json("try", "hello", "--model", "gpt-5.4", "--start-within", "soon", status=1)
            assert "start_within" in refused["error"]
            assert terminal.json("try", "hello", "--model", "gpt-4.1")["request"]["tier_asked"] == "default"
            assert server.stop() == 0
    states = {key["name"]: key["state"] for key in terminal.json("key", "list", "--all")}
    assert states["startline try"] == "revoked", "its key does not outlive it"
    assert len(terminal.json("usage")["requests"]) == 4


def test_the_cheapest_model_that_can_be_raced_is_chosen() -> None:
    def row(name: str, output: float | None, *, race: bool = True) -> dict[str, Any]:
        return {"id": name, "flex_race": race, "prices": {"default": output and {"output": output}}}

    rows = [row("dear", 9.0), row("unpriced", None), row("no-race", 0.1, race=False), row("cheap", 1.5)]
    assert _choose({"models": rows}, None, None) == ("cheap", "30s")
    assert _choose({"models": rows[1:3]}, None, None) == ("unpriced", "30s")
    assert _choose({"models": rows}, "no-race", None) == ("no-race", None)
    assert _choose({"models": rows}, "cheap", "flex") == ("cheap", "flex")
    assert _choose({"models": [], "any": ["lab"]}, "lab/m", None) == ("lab/m", None)


def test_without_a_provider_it_says_what_to_do(terminal: Terminal) -> None:
    assert "startline provider add openai" in terminal.run("try", "hello", status=1).stderr
    terminal.run("init")
    assert "startline provider add openai" in terminal.run("try", "hello", status=1).stderr
    terminal.run("provider", "add", "lab", "--base-url", "http://127.0.0.1:9/v1", "--no-secret")
    assert "name a --model" in terminal.run("try", "hello", status=1).stderr
    failed = terminal.run("try", "hello", "--model", "m", status=1)
    assert "It failed" in failed.stderr and "provider_unreachable" in failed.stdout


def test_a_key_that_is_given_is_used(terminal: Terminal) -> None:
    terminal.run("provider", "add", "lab", "--base-url", "http://127.0.0.1:9/v1", "--no-secret", "--models", "m")
    terminal.environment["STARTLINE_API_KEY"] = "sk-sl-nonsense"
    assert "API key" in terminal.run("try", "hello", status=1).stderr
    assert terminal.json("key", "list", "--all") == []
