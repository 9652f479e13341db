"""The first start: who sees the first keys, and which keys of the environment are offered."""

from pathlib import Path

import pytest

from appliance.app import Appliance, open_appliance
from appliance.cli.first_start import first_keys, found_in_environment, hand_over
from appliance.domain.catalog import Provider
from appliance.settings import Settings


async def started(appliance: Appliance) -> dict[str, str]:
    return await first_keys(appliance.store, 1)


async def test_the_first_keys_are_one_of_each_kind_and_made_once(tmp_path: Path) -> None:
    async with open_appliance(Settings(), tmp_path) as appliance:
        made = await started(appliance)
        assert {kind: text[:6] for kind, text in made.items()} == {"inference": "sk-sl-", "management": "mk-sl-"}
        assert [one.name for one in appliance.store.organisations.list()] == ["default"]
        assert await started(appliance) == {}


async def test_none_are_made_where_there_are_keys(tmp_path: Path) -> None:
    async with open_appliance(Settings(), tmp_path) as appliance:
        owner = await appliance.store.organisations.create("acme", now_unix_s=1)
        await appliance.store.api_keys.create(owner.organisation_id, "inference", "x", now_unix_s=1)
        assert await started(appliance) == {}


async def test_a_terminal_sees_them_and_no_file_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with open_appliance(Settings(), tmp_path) as appliance:
        made = await started(appliance)
        hand_over(appliance.store, made, pytest.fail, terminal=True)
        told = capsys.readouterr().out
        assert all(text in told for text in made.values())
        assert not appliance.store.folder.first_keys.exists()


async def test_else_a_file_for_its_owner_alone_has_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with open_appliance(Settings(), tmp_path) as appliance:
        told: list[str] = []
        made = await started(appliance)
        path = appliance.store.folder.first_keys
        path.write_text("of an earlier start")
        hand_over(appliance.store, made, told.append, terminal=False)
        assert told == [str(path)]
        assert path.stat().st_mode & 0o777 == 0o600
        assert all(text in path.read_text() for text in made.values())
        assert capsys.readouterr() == ("", "")
        hand_over(appliance.store, {}, pytest.fail, terminal=False)


async def test_keys_in_the_environment_are_found_until_the_provider_is_there(tmp_path: Path) -> None:
    async with open_appliance(Settings(), tmp_path) as appliance:
        store = appliance.store
        assert found_in_environment(store, {"OPENAI_API_KEY": ""}) == []
        assert found_in_environment(store, {"OPENAI_API_KEY": "x"}) == [("openai", "OPENAI_API_KEY")]
        owner = await store.organisations.create("acme", now_unix_s=1)
        await store.providers.add(
            Provider("", owner.organisation_id, "openai", "openai", "http://127.0.0.1:9"), None, now_unix_s=1
        )
        assert found_in_environment(store, {"OPENAI_API_KEY": "x"}) == []
