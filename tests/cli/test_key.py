"""API keys from the command line, without a server."""

from tests.cli.terminal import Terminal


def test_a_key_from_its_making_to_its_end(terminal: Terminal) -> None:
    made = terminal.run("key", "create", "--name", "laptop", "--start-within", "30s")
    token = made.stdout.strip()
    assert token.startswith("sk-sl-") and "only time" in made.stderr
    assert token[-43:] not in terminal.run("key", "list").stdout
    assert "30s" in terminal.run("key", "show", "laptop").stdout
    new = terminal.json("key", "rotate", "laptop")
    assert new["key"] != token and new["name"] == "laptop"
    assert [key["id"] for key in terminal.json("key", "list")] == [new["id"]]
    assert "is revoked" in terminal.run("key", "revoke", new["id"]).stdout
    assert terminal.json("key", "list") == []
    assert [key["state"] for key in terminal.json("key", "list", "--all")] == ["revoked", "revoked"]


def test_every_option_arrives(terminal: Terminal) -> None:
    options = (
        "--management",
        "--expires-in",
        "90d",
        "--priority",
        "--started-at",
        "content",
        "--organisation",
        "default",
    )
    made = terminal.json(
        "key", "create", "--name", "x", *options, "--model", "gpt-*", "--model", "o3", "--address", "10.0.0.0/8"
    )
    assert made["key"].startswith("mk-sl-") and made["kind"] == "management"
    assert abs(made["expires_unix_s"] - made["created_unix_s"] - 90 * 86_400) <= 5, "told and made within a moment"
    assert (made["models"], made["addresses"]) == (["gpt-*", "o3"], ["10.0.0.0/8"])
    assert (made["priority"], made["started_at"]) == (True, "content")


def test_grace(terminal: Terminal) -> None:
    terminal.run("key", "create", "--name", "x")
    terminal.run("key", "rotate", "x", "--grace", "1h")
    assert [key["state"] for key in terminal.json("key", "list")] == ["valid", "valid"]


def test_how_a_key_is_served_is_changed_and_taken_away(terminal: Terminal) -> None:
    terminal.run("provider", "add", "local", "--kind", "openai_compatible", "--base-url", "http://127.0.0.1:9/v1",
                 "--no-secret", "--any-model")  # fmt: skip
    terminal.run("preset", "add", "night", "--model", "local/small")
    made = terminal.json("key", "create", "--name", "x", "--start-within", "30s")
    words = ("--start-target", "99.9%", "--finish-within", "10m", "--preset", "night", "--ladder", "local/small")
    changed = terminal.json("key", "change", "x", *words)
    told = {"start_target": 0.999, "finish_within": "10m", "preset": "night", "ladder": ["local/small"]}
    made.pop("key")
    assert changed == made | told
    shown = terminal.run("key", "change", "x", "--start-within", "none", "--ladder", "none", "--preset", "none").stdout
    assert "the organisation's" in shown and "10m" in shown and "night" not in shown
    assert terminal.json("key", "show", "x") == changed | {"start_within": None, "ladder": None, "preset": None}
    assert "say what to change" in terminal.run("key", "change", "x", status=2).stderr
    assert "no such preset" in terminal.run("key", "change", "x", "--preset", "day", status=1).stderr
    assert "no such key" in terminal.run("key", "change", "y", "--start-within", "9s", status=1).stderr


def test_what_is_wrong_is_said(terminal: Terminal) -> None:
    terminal.run("init")
    assert "no such key" in terminal.run("key", "show", "nobody", status=1).stderr
    assert "start_within" in terminal.run("key", "create", "--name", "x", "--start-within", "soon", status=1).stderr
    assert "is no duration" in terminal.run("key", "create", "--name", "x", "--expires-in", "soon", status=2).stderr
