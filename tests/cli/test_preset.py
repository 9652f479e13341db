"""Presets from the command line, without a server."""

import pytest

from tests.cli.terminal import Terminal


def test_a_preset_from_its_making_to_its_end(terminal: Terminal) -> None:
    terminal.run("provider", "add", "local", "--kind", "openai_compatible", "--base-url", "http://127.0.0.1:9/v1",
                 "--no-secret", "--any-model")  # fmt: skip
    words = ("--start-within", "5m", "--start-target", "99.9%", "--finish-within", "10m")
    steps = ("--ladder", "local/small", "--ladder", "local/big:default")
    made = terminal.json("preset", "add", "night", *steps, *words)
    assert (made["ladder"], made["start_target"]) == (["local/small", "local/big:default"], 0.999)
    told = terminal.run("preset", "list").stdout
    assert "night" in told and "local/small, local/big:default" in told and "0.999" in told
    changed = terminal.json("preset", "change", "night", "--ladder", "none", "--model", "local/small")
    assert changed == made | {"ladder": None, "model": "local/small"}
    assert "@preset/night" in terminal.run("preset", "change", "night", "--start-target", "none").stdout
    assert terminal.json("preset", "list") == [changed | {"start_target": None}]
    key = terminal.json("key", "create", "--name", "x", "--preset", "night", *steps, "--start-target", "0.9",
                        "--finish-within", "1m")  # fmt: skip
    assert (key["preset"], key["ladder"], key["start_target"]) == ("night", made["ladder"], 0.9)
    shown = terminal.run("key", "show", "x").stdout
    assert "night" in shown and "local/small, local/big:default" in shown and "1m" in shown
    assert "have this preset (x)" in terminal.run("preset", "remove", "night", status=1).stderr
    terminal.run("key", "revoke", "x")
    assert "night is removed" in terminal.run("preset", "remove", "night").stdout
    assert terminal.json("preset", "list") == []


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("add", "night"), 1, "at least one thing"),
        (("add", "Night", "--model", "m"), 1, "lower-case"),
        (("add", "night", "--ladder", "m"), 1, "step 1"),
        (("add", "night", "--ladder", "nobody/m"), 1, "no such provider"),
        (("change", "night"), 2, "say what to change"),
        (("change", "night", "--model", "m"), 1, "no preset 'night'"),
        (("remove", "night"), 1, "no preset 'night'"),
    ],
)
def test_what_is_wrong_is_said(terminal: Terminal, words: tuple[str, ...], status: int, told: str) -> None:
    terminal.run("organisation", "create", "acme")
    assert told in terminal.run("preset", *words, status=status).stderr
