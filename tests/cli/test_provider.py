"""Providers from the command line: where the secret comes from, and what is said of a check that failed."""

from pathlib import Path

from appliance.upstream.profile_files import shipped
from tests.cli.terminal import Terminal

NOWHERE = "http://127.0.0.1:9/v1"
SECRET = "sk-sim-CANARY-secret"


def test_the_secret_comes_from_standard_input_or_a_file(terminal: Terminal, tmp_path: Path) -> None:
    told = terminal.run("provider", "add", "one", "--base-url", NOWHERE, stdin=SECRET + "\n")
    assert "one is added" in told.stdout
    assert "provider_unreachable" in told.stderr and "models are not known" in told.stderr
    file = tmp_path / "secret"
    file.write_text(f"  {SECRET}\n")
    added = terminal.json("provider", "add", "two", "--base-url", NOWHERE, "--secret-file", str(file))
    assert added["provider"]["has_key"] is True
    none = terminal.json("provider", "add", "three", "--base-url", NOWHERE, "--no-secret")
    assert none["provider"]["has_key"] is False
    listed = terminal.run("provider", "list").stdout
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["one", "two", "three"]
    assert "CANARY" not in told.stdout + told.stderr + listed
    for path in terminal.folder.rglob("*"):
        assert not path.is_file() or b"CANARY" not in path.read_bytes(), path


def test_an_empty_secret_is_a_mistake(terminal: Terminal) -> None:
    told = terminal.run("provider", "add", "one", "--base-url", NOWHERE, stdin="\n", status=1).stderr
    assert "--no-secret" in told
    terminal.run("init")
    assert terminal.json("provider", "list") == []


def test_no_argument_takes_a_secret(terminal: Terminal) -> None:
    told = terminal.run("provider", "add", "one", SECRET, status=2).stderr
    assert "unexpected extra argument" in told


def test_every_option_arrives(terminal: Terminal) -> None:
    provider = terminal.json(
        "provider", "add", "lab", "--kind", "openai_compatible", "--base-url", NOWHERE + "/",
        "--tiers", "flex, default", "--models", "a,b", "--price-as", "openai", "--header", "X-Team: blue",
        "--no-stream-options",
        "--abort-billing", "full", "--organisation", "default", "--no-secret",
    )["provider"]  # fmt: skip
    wanted = {
        "name": "lab", "kind": "openai_compatible", "base_url": NOWHERE, "tiers": ["flex", "default"],
        "models": ["a", "b"], "price_as": "openai", "headers": ["X-Team"], "stream_options": False,
        "abort_billing": "full",
    }  # fmt: skip
    assert provider == provider | wanted


def test_openai_is_known_by_name(terminal: Terminal) -> None:
    provider = terminal.json("provider", "add", "openai", "--base-url", NOWHERE, stdin="sk-not-a-key")["provider"]
    assert (provider["kind"], provider["price_as"]) == ("openai", "openai")
    assert provider["tiers"] == ["flex", "default", "priority"]
    assert shipped()["openai"].base_url == "https://api.openai.com/v1"


def test_a_test_that_fails_has_status_1(terminal: Terminal) -> None:
    terminal.run("provider", "add", "one", "--base-url", NOWHERE, "--no-secret")
    assert terminal.json("provider", "test", "one", status=1)["code"] == "provider_unreachable"
    assert "could not be asked" in terminal.run("provider", "test", "one", status=1).stderr
    assert "is removed" in terminal.run("provider", "remove", "one").stdout
    assert "no provider" in terminal.run("provider", "test", "one", status=1).stderr


def test_what_is_wrong_is_said(terminal: Terminal) -> None:
    assert "base URL" in terminal.run("provider", "add", "x", "--no-secret", status=1).stderr
    assert "--header" in terminal.run("provider", "add", "x", "--header", "nothing", "--no-secret", status=2).stderr


def test_a_provider_is_set_in_part(terminal: Terminal) -> None:
    terminal.run("provider", "add", "one", "--base-url", NOWHERE, "--tiers", "flex,default", "--no-secret")
    assert "nothing to set" in terminal.run("provider", "set", "one", status=2).stderr
    told = terminal.run("provider", "set", "one", "--models", "a,b", "--key", "--public-only", stdin=SECRET + "\n")
    assert "one is set" in told.stdout and "CANARY" not in told.stdout
    (provider,) = terminal.json("provider", "list", "--organisation", "default")
    wanted = {"models": ["a", "b"], "tiers": ["flex", "default"], "has_key": True, "public_only": True}
    assert provider == provider | wanted
    assert terminal.json("provider", "set", "one", "--any-address", "--models", "listed")["public_only"] is False
    assert terminal.json("provider", "list")[0]["model_source"] == "provider"
    assert "no such organisation" in terminal.run("provider", "list", "--organisation", "x", status=1).stderr


def test_breakers_are_listed(terminal: Terminal) -> None:
    terminal.run("provider", "add", "one", "--base-url", NOWHERE, "--no-secret")
    assert terminal.run("provider", "list").stdout.split()[-1] == "closed"
