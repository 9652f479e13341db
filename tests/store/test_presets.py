"""Presets are added, changed and removed, each in its organisation."""

from pathlib import Path

import pytest

from appliance.domain.preset import Preset
from appliance.store.faults import NameTaken, UnknownRow
from tests.store.opening import opened


async def test_a_preset_is_kept_changed_and_removed(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        owner = (await store.organisations.create("acme", now_unix_s=1)).organisation_id
        other = (await store.organisations.create("other", now_unix_s=1)).organisation_id
        wanted = Preset("", owner, "night", "openai/gpt-5", ("a/m:flex", "b/m"), "10m", 0.999, "1h")
        made = await store.presets.add(wanted)
        assert made.preset_id.startswith("preset_")
        with pytest.raises(NameTaken):
            await store.presets.add(wanted)
        with pytest.raises(UnknownRow):
            await store.presets.add(Preset("", "org_none", "x"))
        await store.presets.add(Preset("", other, "night"))
        await store.presets.add(Preset("", owner, "day"))
    async with opened(tmp_path) as store:
        assert [one.name for one in store.presets.list(owner)] == ["day", "night"]
        assert len(store.presets.list()) == 3
        assert store.directory.presets(owner)["night"] == store.presets.show(owner, made.preset_id) == made
        changed = await store.presets.change(made, ladder=None, start_within="5m")
        assert (changed.ladder, changed.start_within, changed.start_target) == (None, "5m", 0.999)
        await store.presets.remove(made)
        assert [one.name for one in store.presets.list(owner)] == ["day"]
        assert len(store.presets.list(other)) == 1
        for action in (store.presets.remove(made), store.presets.change(made, model="x")):
            with pytest.raises(UnknownRow):
                await action
