"""Making a data folder."""

import tomllib

from appliance.settings import Settings
from tests.cli.terminal import Terminal


def test_a_folder_is_made_once_and_stays(terminal: Terminal) -> None:
    made = terminal.json("init")
    assert made["keys"]["inference"].startswith("sk-sl-") and made["keys"]["management"].startswith("mk-sl-")
    for name in ("startline.toml", "startline.db", "master.key", "archive"):
        assert (terminal.folder / name).exists(), name
    assert (terminal.folder / "master.key").stat().st_mode & 0o777 == 0o600
    assert terminal.folder.stat().st_mode & 0o777 == 0o700
    config = terminal.folder / "startline.toml"
    config.write_text("max_connections = 9\n")
    assert terminal.json("init")["keys"] == {}, "keys are made where there are none"
    assert config.read_text() == "max_connections = 9\n", "a file that is there is left alone"
    assert len(terminal.json("key", "list")) == 2


def test_people_see_the_keys_and_the_next_step(terminal: Terminal) -> None:
    told = terminal.run("init").stdout
    assert "sk-sl-" in told and "mk-sl-" in told and "startline serve" in told and str(terminal.folder) in told
    assert "sk-sl-" not in terminal.run("init").stdout


def test_the_printed_settings_are_a_file_with_every_setting_and_make_nothing(terminal: Terminal) -> None:
    text = terminal.run("init", "--print-config").stdout
    assert tomllib.loads(text) == {}, "all of them are comments"
    uncommented = tomllib.loads(
        "\n".join(line[1:] for line in text.splitlines() if line[:1] == "#" and line[1:2] != " ")
    )
    assert set(uncommented) == set(Settings.__struct_fields__)
    assert not terminal.folder.exists()
