"""The way to the admin routes: over the socket of a running server, else in this process; and when neither works."""

from pathlib import Path

import click
import pytest
import trio

from appliance.cli.operator import Refused, ask, asked, operator, perform
from appliance.cli.place import Place
from appliance.server.listen import open_unix
from appliance.store.folder import DataFolder
from tests.cli.terminal import Terminal


def test_the_routes_are_the_same_in_this_process(tmp_path: Path) -> None:
    place = Place(tmp_path / "data", environment={})
    assert ask(place, "GET", "/admin/v1/keys", may_make=True) == {"keys": []}
    assert ask(place, "GET", "/admin/v1/keys") == {"keys": []}
    with pytest.raises(Refused) as raised:
        ask(place, "GET", "/admin/v1/keys/nobody")
    assert raised.value.code == "record_not_found"


async def test_inference_runs_in_this_process_too(tmp_path: Path) -> None:
    async with operator(Place(tmp_path / "data", environment={}), may_make=True) as client:
        made = await asked(client, "POST", "/admin/v1/keys", json={"name": "x"})
        answer = await client.get("/v1/models", headers={"authorization": f"Bearer {made['key']}"})
        assert answer.json()["data"] == []


def test_a_folder_whose_owner_does_not_answer_is_said(terminal: Terminal) -> None:
    with DataFolder(terminal.folder):
        assert "is in use" in terminal.run("key", "list", status=1).stderr


def test_a_socket_that_nobody_serves_is_passed_over(terminal: Terminal) -> None:
    terminal.run("organisation", "create", "acme")
    open_unix(terminal.folder / "startline.sock").close()
    assert terminal.json("key", "list") == []


def test_a_master_key_that_is_missing_is_said(terminal: Terminal) -> None:
    terminal.run("init")
    (terminal.folder / "master.key").unlink()
    assert "master.key is missing" in terminal.run("key", "list", status=1).stderr


def test_a_folder_that_cannot_be_made_is_said(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = ("--data-folder", str(tmp_path / "file" / "inside"))
    assert "Not a directory" in terminal.run("key", "create", "--name", "x", *folder, status=1).stderr


@pytest.mark.parametrize(
    "words",
    [
        ("key", "list"), ("key", "show", "x"), ("key", "revoke", "x"), ("provider", "list"), ("provider", "test", "x"),
        ("provider", "remove", "x"), ("organisation", "list"), ("models",), ("usage",), ("try", "hello"),
        ("archive", "verify"),
    ],
)  # fmt: skip
def test_a_command_that_only_asks_makes_no_folder(terminal: Terminal, words: tuple[str, ...]) -> None:
    told = terminal.run(*words, status=1).stderr
    assert str(terminal.folder) in told
    assert not terminal.folder.exists()


def test_failures_come_out_as_they_were() -> None:
    async def failing(fault: BaseException) -> None:
        async with trio.open_nursery():
            raise fault

    with pytest.raises(click.UsageError):
        perform(failing, click.UsageError("x"))
    with pytest.raises(ValueError, match="x"):
        perform(failing, ValueError("x"))
    with pytest.raises(ExceptionGroup):
        perform(failing, ExceptionGroup("two", [ValueError("x"), ValueError("y")]))
    with pytest.raises(click.UsageError):
        perform(failing, ExceptionGroup("two", [ValueError("x"), click.UsageError("y")]))
