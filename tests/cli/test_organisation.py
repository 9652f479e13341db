"""Organisations from the command line, without a server."""

import pytest

from tests.cli.terminal import Terminal


def test_an_organisation_is_made_listed_set_and_used(terminal: Terminal) -> None:
    made = terminal.json("organisation", "create", "acme", "--start-within", "30s", "--race-slots", "0")
    assert (made["name"], made["start_within"], made["race_slots"]) == ("acme", "30s", 0)
    bare = terminal.run("organisation", "create", "bare").stdout
    assert bare.count("the setting") == 4
    assert [one["name"] for one in terminal.json("organisation", "list")] == ["acme", "bare"]
    assert "30s" in terminal.run("organisation", "list").stdout
    key = terminal.json("key", "create", "--name", "x", "--organisation", "acme")
    assert key["organisation_id"] == made["organisation_id"]
    changed = terminal.json("organisation", "set", "acme", "--race-slots", "12")
    assert changed == made | {"race_slots": 12}, "what is not named stays"
    wish = ("--start-within", "none", "--race-slots", "none")
    cleared = terminal.json("organisation", "set", made["organisation_id"], *wish)
    assert cleared == made | {"start_within": None, "race_slots": None}
    named = terminal.json("organisation", "set", "acme", "--alias", "fast=groq/llama-4", "--alias", "big=gpt")
    assert named == cleared | {"aliases": {"fast": "groq/llama-4", "big": "gpt"}}
    assert terminal.json("organisation", "set", "acme", "--alias", "fast=none")["aliases"] == {"big": "gpt"}
    assert "alias big" in terminal.run("organisation", "set", "acme", "--alias", "big=gpt").stdout
    terminal.run("organisation", "set", "acme", "--alias", "big=none")
    words = ("--start-target", "95%", "--finish-within", "2m", "--no-explore")
    promised = terminal.json("organisation", "set", "acme", *words)
    assert promised == cleared | {"start_target": 0.95, "finish_within": "2m", "explore": False}
    terminal.run("organisation", "set", "acme", "--start-target", "none", "--finish-within", "none", "--explore")
    assert "flex" in terminal.run("organisation", "set", "acme", "--start-within", "flex").stdout
    assert terminal.json("organisation", "list")[0] == cleared | {"start_within": "flex"}


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("set", "nobody", "--race-slots", "1"), 1, "no organisation 'nobody'"),
        (("set", "acme/../x", "--race-slots", "1"), 1, "route"),
        (("set", "acme"), 2, "say what to set"),
        (("set", "acme", "--race-slots", "-1"), 2, "neither a number nor none"),
        (("set", "acme", "--alias", "fast"), 2, "NAME=MODEL"),
        (("create", "other", "--race-slots", "-1"), 2, "race-slots"),
        (("create", "acme"), 1, "already"),
        (("create", "other", "--start-within", "soon"), 1, "start_within"),
    ],
)
def test_what_is_wrong_is_said(terminal: Terminal, words: tuple[str, ...], status: int, told: str) -> None:
    terminal.run("organisation", "create", "acme")
    assert told in terminal.run("organisation", *words, status=status).stderr
    assert [one["name"] for one in terminal.json("organisation", "list")] == ["acme"]
