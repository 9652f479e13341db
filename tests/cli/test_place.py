"""Where a command works: who wins among the sources, and sockets in folders with long names."""

import socket
from pathlib import Path

import pytest
from click import ClickException

from appliance.cli.place import CONFIG_FILE, Place, platform_folder
from appliance.server.listen import open_unix
from appliance.settings import SettingsFault
from tests.cli.terminal import Terminal


@pytest.mark.parametrize(
    ("environment", "platform", "wanted"),
    [
        ({"HOME": "/h"}, "linux", "/h/.local/share/startline"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/x"}, "linux", "/x/startline"),
        ({"HOME": "/h", "XDG_DATA_HOME": "relative"}, "linux", "/h/.local/share/startline"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/x"}, "darwin", "/h/Library/Application Support/Startline"),
    ],
)
def test_the_platforms_folder(environment: dict[str, str], platform: str, wanted: str) -> None:
    assert platform_folder(environment, platform) == Path(wanted)


def test_the_folder_is_the_nearest_source(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text('data_folder = "/from/the/file"\n')
    environment = {"HOME": "/h"}
    assert Place(environment=environment).folder == Path("/h/.local/share/startline")
    environment["STATE_DIRECTORY"] = "/var/lib/startline:/other"
    assert Place(environment=environment).folder == Path("/var/lib/startline")
    assert Place(config=config, environment=environment).folder == Path("/from/the/file")
    environment["STARTLINE_DATA_FOLDER"] = "/from/the/environment"
    assert Place(config=config, environment=environment).folder == Path("/from/the/environment")
    assert Place(tmp_path, config, environment).folder == tmp_path


def test_the_settings_are_those_of_the_folder_unless_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text("max_connections = 5\n")
    own = tmp_path / "own.toml"
    own.write_text("max_connections = 6\n")
    assert Place(tmp_path, environment={}).settings().max_connections == 5
    assert Place(tmp_path, own, {}).settings().max_connections == 6
    assert Place(tmp_path, own, {"STARTLINE_MAX_CONNECTIONS": "7"}).settings().max_connections == 7
    assert Place(tmp_path, own, {}).settings(max_connections=8, listen=None).max_connections == 8


def test_a_wrong_setting_is_told_with_its_source(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text("max_conections = 5\n")
    with pytest.raises(ClickException, match="max_conections"):
        Place(tmp_path, environment={}).settings()
    with pytest.raises(SettingsFault, match="STARTLINE_MAX_CONNECTIONS"):
        Place(environment={"STARTLINE_MAX_CONNECTIONS": "many", "HOME": "/h"})


def test_a_wrong_setting_fails_the_command(terminal: Terminal) -> None:
    terminal.environment["STARTLINE_MAX_CONNECTIONS"] = "many"
    assert "STARTLINE_MAX_CONNECTIONS" in terminal.run("key", "list", status=1).stderr


def test_a_socket_can_be_bound_and_reached_in_a_folder_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with open_unix(Place(folder, environment={}).socket()) as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(Place(folder, environment={}).socket()))
        listener.accept()[0].close()
    assert (folder / "startline.sock").exists()
