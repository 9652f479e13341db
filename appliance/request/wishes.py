"""What holds where a request says nothing: the words of its key, preset, organisation and the settings. The rule:
compiled once for each key, and again only when the directory changes.
"""

import difflib
from collections.abc import Mapping

import msgspec

from appliance.domain.errors import CallerFault
from appliance.domain.identity import ApiKey
from appliance.domain.ladder import Step, parse_ladder
from appliance.domain.preset import Preset
from appliance.domain.tier import (
    DEFAULT_TARGET,
    StartWithin,
    Window,
    parse_finish_within,
    parse_start_within,
)
from appliance.request.said import Said, resolve
from appliance.settings import Settings
from appliance.store.ports import Directory

MOST_KEPT = 100_000
LONGEST_NAMED = 64
MOST_COMPARED = 200
"""Characters of an unknown preset's name, and names that it is compared with."""


class Defaults(msgspec.Struct, frozen=True):
    """What holds for requests that say nothing themselves. `said`: where, the nearest to the request first.

    `wish` and `ladder` follow from it, and what a window of the request's own has: `target`, `finish_s`.
    `preset_ladder` is the one that the preset says. `trouble`: code and message of why it cannot be used. `special`:
    whether more than a wish must be looked at.
    """

    said: tuple[Said, ...] = ()
    wish: StartWithin = "default"
    ladder: tuple[Step, ...] | None = None
    preset: Preset | None = None
    preset_ladder: tuple[Step, ...] | None = None
    trouble: tuple[str, str | None] | None = None
    special: bool = True
    target: float = DEFAULT_TARGET
    finish_s: float | None = None

    def without_ladder(self) -> "Defaults":
        """The same without the preset's ladder."""
        said = [
            msgspec.structs.replace(one, ladder=None) if one.ladder is self.preset_ladder else one for one in self.said
        ]
        return msgspec.structs.replace(self, said=tuple(said), preset_ladder=None)

    def fault(self) -> CallerFault:
        """The trouble, to be raised."""
        code, told = self.trouble or ("invalid_start_within", None)
        return CallerFault(code, told, status=400, param="preset" if code == "preset_not_found" else None)


class Wishes:
    """The defaults of all keys, compiled, and kept until the directory changes."""

    def __init__(self, directory: Directory, settings: Settings) -> None:
        self._directory = directory
        self._settings = settings
        self._setting = self._read(settings.start_within, settings.start_target, settings.finish_within or None)
        self._kept: dict[str, tuple[int, ApiKey, Defaults]] = {}
        self._named: dict[tuple[str, str], tuple[int, ApiKey, Defaults]] = {}

    def of(self, key: ApiKey) -> Defaults:
        """What holds for the requests of this key that say nothing themselves."""
        generation = self._directory.generation
        known = self._kept.get(key.key_id)
        if known is not None and known[0] == generation and known[1] is key:
            return known[2]
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        found = self._compiled(key, key.preset, named=False)
        self._kept[key.key_id] = (generation, key, found)
        return found

    def with_preset(self, key: ApiKey, name: str) -> Defaults:
        """The same for a request that names a preset."""
        generation, wanted = self._directory.generation, (key.key_id, name)
        known = self._named.get(wanted)
        if known is not None and known[0] == generation and known[1] is key:
            return known[2]
        found = self._compiled(key, name, named=True)
        if found.preset is not None:  # names that are none are strangers' texts
            if len(self._named) >= MOST_KEPT:
                self._named.clear()
            self._named[wanted] = (generation, key, found)
        return found

    def beside(self, defaults: Defaults, start: StartWithin) -> StartWithin:
        """The wish of a request that says this alone. Raises CallerFault invalid_start_within."""
        if isinstance(start, str):
            return start
        seconds, finish_s = start.seconds, defaults.finish_s
        _check_limits("start_within", seconds, self._settings, self._settings.start_within_most_s)
        return Window(seconds if finish_s is None else min(seconds, finish_s), defaults.target, finish_s)

    def check(self, said: Said) -> None:
        """Passes if the times that a request itself names are within the limits; else raises CallerFault."""
        settings = self._settings
        if isinstance(said.start, Window):
            _check_limits("start_within", said.start.seconds, settings, settings.start_within_most_s)
        if said.finish_s is not None:
            _check_limits("finish_within", said.finish_s, settings, settings.finish_within_most_s)

    def resolve(self, said: tuple[Said, ...]) -> tuple[StartWithin, tuple[Step, ...] | None]:
        """See the function of this name."""
        return resolve(said, self._settings.start_within_most_s)

    def _compiled(self, key: ApiKey, name: str | None, *, named: bool) -> Defaults:
        presets = self._directory.presets(key.organisation_id)
        preset = None if name is None else presets.get(name)
        if name is not None and preset is None:
            return Defaults(trouble=("preset_not_found", _near(name, presets)))
        organisation = self._directory.organisation(key.organisation_id)
        said = [self._read(key.start_within, key.start_target, key.finish_within, key.ladder)]
        preset_ladder = None
        if preset is not None:
            own = self._read(preset.start_within, preset.start_target, preset.finish_within, preset.ladder)
            said.insert(0 if named else 1, own)
            preset_ladder = own.ladder
        said.append(self._read(organisation.start_within, organisation.start_target, organisation.finish_within))
        said.append(self._setting)
        wish, ladder = self.resolve(tuple(said))
        trouble = None
        if any(one.beyond for one in said):
            trouble = ("invalid_start_within", "The default of this key is outside of the limits that are set.")
        special = trouble is not None or ladder is not None or preset is not None
        target = next((one.target for one in said if one.target is not None), DEFAULT_TARGET)
        finish_s = next((one.finish_s for one in said if one.finish_s is not None), None)
        return Defaults(tuple(said), wish, ladder, preset, preset_ladder, trouble, special, target, finish_s)

    def _read(
        self, start: str | None, target: float | None, finish: str | None, ladder: tuple[str, ...] | None = None
    ) -> Said:
        """What texts say, which were checked when they were stored; limits may have moved since."""
        settings = self._settings
        within: StartWithin | None = None
        finish_s, beyond = None, False
        try:
            if start:
                within = parse_start_within(start, settings.start_within_least_s, settings.start_within_most_s)
            if finish:
                finish_s = parse_finish_within(finish, settings.start_within_least_s, settings.finish_within_most_s)
        except ValueError:
            beyond = True
        return Said(within, target, finish_s, parse_ladder(ladder) if ladder else None, beyond)


def _near(name: str, presets: Mapping[str, Preset]) -> str | None:
    """Up to three names that are near the one of a preset that is not there; the stranger's own text is not echoed."""
    near = difflib.get_close_matches(name[:LONGEST_NAMED], list(presets)[:MOST_COMPARED], n=3, cutoff=0.6)
    return f"There is no preset of this name. Near: {', '.join(near)}." if near else None


def _check_limits(name: str, seconds: float, settings: Settings, most_s: float) -> None:
    least_s = settings.start_within_least_s
    if not least_s <= seconds <= most_s:
        raise CallerFault(f"invalid_{name}", f"{name} must be between {least_s:g} and {most_s:g} seconds.", param=name)
