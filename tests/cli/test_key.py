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


def test_what_is_wrong_is_said(terminal: Terminal) -> None:
    terminal.run("init")
    assert "no such key" in terminal.run("key", "show", "nobody", status=1).stderr
    assert "start_within" in terminal.run("key", "create", "--name", "x", "--start-within", "soon", status=1).stderr
    assert "is no duration" in terminal.run("key", "create", "--name", "x", "--expires-in", "soon", status=2).stderr
