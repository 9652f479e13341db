"""Changes of presets. The rule: a change is one transaction, visible when it returns."""

import apsw
import msgspec

from appliance.domain.ids import record_id
from appliance.domain.preset import Preset
from appliance.store.directory import StoreDirectory
from appliance.store.faults import NameTaken, UnknownRow
from appliance.store.organisations import Change, Random, insert, update


class Presets:
    """The presets of all organisations."""

    def __init__(self, change: Change, directory: StoreDirectory, random: Random) -> None:
        self._change = change
        self._directory = directory
        self._random = random

    async def add(self, preset: Preset) -> Preset:
        """Store a preset; its `preset_id` is made here. Raises NameTaken, UnknownRow."""
        preset = msgspec.structs.replace(preset, preset_id=record_id("preset", self._random(9)))

        def work(connection: apsw.Connection) -> None:
            owner = (preset.organisation_id,)
            if not connection.execute("SELECT count(*) FROM organisations WHERE organisation_id = ?", owner).get:
                raise UnknownRow(f"there is no organisation {preset.organisation_id!r}")
            taken = "SELECT count(*) FROM presets WHERE organisation_id = ? AND name = ?"
            if connection.execute(taken, (preset.organisation_id, preset.name)).get:
                raise NameTaken(f"the organisation has a preset named {preset.name!r} already")
            insert(connection, "presets", preset)

        await self._change(work)
        return preset

    def list(self, organisation_id: str | None = None) -> tuple[Preset, ...]:
        """The presets of an organisation, or all, in the order of their names."""
        owners = self._directory.organisations() if organisation_id is None else ()
        ids = [owner.organisation_id for owner in owners] if organisation_id is None else [organisation_id]
        return tuple(preset for one in ids for preset in self._directory.presets(one).values())

    def show(self, organisation_id: str, name: str) -> Preset:
        """One preset, by its name or id. Raises UnknownRow."""
        for preset in self._directory.presets(organisation_id).values():
            if name in (preset.name, preset.preset_id):
                return preset
        raise UnknownRow(f"there is no preset {name!r}")

    async def change(self, preset: Preset, **fields: object) -> Preset:
        """Store these fields of a preset; the others stay as they are. Raises UnknownRow."""

        def work(connection: apsw.Connection) -> None:
            if not update(connection, "presets", preset, fields):
                raise UnknownRow(f"there is no preset {preset.name!r}")

        await self._change(work)
        return self.show(preset.organisation_id, preset.preset_id)

    async def remove(self, preset: Preset) -> None:
        """Forget a preset; usage keeps its name. Raises UnknownRow."""

        def work(connection: apsw.Connection) -> None:
            connection.execute("DELETE FROM presets WHERE preset_id = ?", (preset.preset_id,))
            if not connection.changes():
                raise UnknownRow(f"there is no preset {preset.name!r}")

        await self._change(work)
