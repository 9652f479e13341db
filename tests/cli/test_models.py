"""The list of models for people and for scripts."""

from tests.cli.terminal import Terminal


def test_models_with_prices(terminal: Terminal) -> None:
    terminal.run("init")
    assert "startline provider add openai" in terminal.run("models").stderr
    options = ("--base-url", "http://127.0.0.1:9/v1", "--no-secret")
    terminal.run(
        "provider", "add", "one", *options, "--models", "gpt-4.1,m", "--tiers", "flex,default", "--price-as", "openai"
    )
    terminal.run("provider", "add", "two", *options)
    told = terminal.run("models")
    rows = [line.split() for line in told.stdout.splitlines()]
    assert rows[1][:3] == ["gpt-4.1", "one", "no"] and "/" in rows[1]
    assert rows[2] == ["m", "one", "yes", "unknown", "unknown", "–"], "an unknown price is no zero"
    assert "two/MODEL" in told.stderr
    assert [row["id"] for row in terminal.json("models", "--provider", "one")["models"]] == ["gpt-4.1", "m"]
    assert terminal.json("models", "--provider", "two") == {"models": [], "any": ["two"]}
