"""Settings: which source wins, what is refused, and that a secret is in no message."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from appliance.settings import Settings, SettingsFault, describe, load, print_config

SECRET = "CANARY-of-a-master-key"


def test_without_any_source_the_defaults_hold() -> None:
    assert load(environment={}) == Settings()


def test_a_later_source_wins(tmp_path: Path) -> None:
    file = tmp_path / "startline.toml"
    file.write_text("max_connections = 1\nshutdown_s = 5\n")
    named = tmp_path / "named"
    named.write_text("3\n")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    environment = {"STARTLINE_MAX_CONNECTIONS": "2", "PATH": "/bin", "STARTLINE_API_KEY": "not a setting"}
    assert load(file, {}).max_connections == 1
    assert load(file, environment).max_connections == 2
    environment["STARTLINE_MAX_CONNECTIONS_FILE"] = str(named)
    assert load(file, environment).max_connections == 3
    (credentials / "startline.max_connections").write_text("4")
    environment["CREDENTIALS_DIRECTORY"] = str(credentials)
    assert load(file, environment).max_connections == 4
    assert load(file, environment, {"max_connections": 5, "listen": None}).max_connections == 5
    assert load(file, environment).shutdown_s == 5.0


@pytest.mark.parametrize(
    ("environment", "name", "value"),
    [
        ({"STARTLINE_LISTEN": "0.0.0.0:80"}, "listen", "0.0.0.0:80"),
        ({"STARTLINE_LOG_REQUESTS": "false"}, "log_requests", False),
        ({"STARTLINE_SHUTDOWN_S": "1.5"}, "shutdown_s", 1.5),
        ({"STARTLINE_TRUSTED_PROXIES": '["10.0.0.0/8"]'}, "trusted_proxies", ("10.0.0.0/8",)),
        (
            {"STARTLINE_RESERVE_S": '{"default" = 2, "*/priority" = 1}'},
            "reserve_s",
            {"default": 2.0, "*/priority": 1.0},
        ),
        ({"STARTLINE_DURABILITY": "strict"}, "durability", "strict"),
    ],
)
def test_values_of_every_kind_can_come_from_the_environment(
    environment: Mapping[str, str], name: str, value: object
) -> None:
    assert getattr(load(environment=environment), name) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_conections = 5", "max_conections"),
        ("max_connections = 'many'", "max_connections"),
        ("max_connections", "startline.toml"),
        ("durability = 'perhaps'", "durability"),
        ("reserve_s = { default = 'x' }", "reserve_s"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_source(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "startline.toml"
    file.write_text(text)
    with pytest.raises(SettingsFault) as raised:
        load(file, {})
    assert said in str(raised.value) and "startline.toml" in str(raised.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match="nothing"):
        load(tmp_path / "nothing", {})
    with pytest.raises(SettingsFault, match="STARTLINE_MASTER_KEY_FILE"):
        load(environment={"STARTLINE_MASTER_KEY_FILE": str(tmp_path / "nothing")})


def test_no_message_holds_a_value_that_may_be_secret(tmp_path: Path) -> None:
    file = tmp_path / "startline.toml"
    file.write_text(f'master_key = ["{SECRET}"]\n')
    with pytest.raises(SettingsFault) as raised:
        load(file, {})
    assert "master_key" in str(raised.value) and SECRET not in str(raised.value)


def test_the_table_has_every_setting_with_a_default_that_toml_can_read() -> None:
    rows = describe()
    assert [row[0] for row in rows] == list(Settings.__struct_fields__)
    assert [row[0] for row in rows if row[4]] == ["master_key"]
    for name, _, default, text, _ in rows:
        assert text.endswith(".") and len(text) > 10, name
        value = msgspec.to_builtins(getattr(Settings(), name))
        read = tomllib.loads(f"x = {default}")["x"]
        assert read == (list(value) if isinstance(value, tuple) else value), name


def test_the_printed_file_is_read_back_as_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "startline.toml"
    file.write_text(print_config())
    assert load(file, {}) == Settings()
    lines = print_config().splitlines()
    file.write_text("\n".join(line[1:] if line[:1] == "#" and line[1:2] != " " else line for line in lines))
    assert load(file, {}) == Settings()


def test_a_default_wish_that_cannot_be_met_stops_the_start() -> None:
    assert load(environment={"STARTLINE_START_WITHIN": "30s"}).start_within == "30s"
    for wish in ("soon", "30m", "0.1"):
        with pytest.raises(SettingsFault, match="start_within"):
            load(environment={"STARTLINE_START_WITHIN": wish})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shutdown_s", "-1"),
        ("max_connections", "0"),
        ("max_body_bytes", "-1"),
        ("dns_cache_s", "nan"),
        ("idle_timeout_s", "inf"),
        ("connect_timeout_s", "0"),
        ("head_timeout_s", "1e-12"),
        ("keep_alive_s", "1e300"),
        ("writer_linger_s", "11"),
        ("reserve_s", "{ default = 1e300 }"),
        ("reserve_s", "{ default = -1.0 }"),
        ("start_within_least_s", "1000"),
        ("trusted_proxies", '["foo"]'),
        ("ca_bundle", "/no/such/file"),
    ],
)
def test_a_value_without_sense_stops_the_start_and_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsFault, match=name):
        load(environment={f"STARTLINE_{name.upper()}": value})


def test_what_may_be_zero_may_be() -> None:
    assert load(environment={"STARTLINE_SHUTDOWN_S": "0", "STARTLINE_RACE_SLOTS": "0"}).race_slots == 0


def test_settings_do_not_show_their_secret() -> None:
    assert "c2VjcmV0" not in repr(load(environment={"STARTLINE_MASTER_KEY": "c2VjcmV0"}))
