"""Presets: list, add, show, change, remove. The rule: a preset that a key needs is not removed."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request

from appliance.domain.errors import CallerFault
from appliance.domain.preset import MARK, NAME, Preset
from appliance.server.admin.desk import Caller, Desk, read_body, view
from appliance.server.admin.keys import key_state
from appliance.server.admin.words import Ladder, Target, Text, checked_words

MOST_PRESETS = 1000


class NewPreset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /admin/v1/presets` takes."""

    name: str
    organisation: str | None = None
    model: Text | None = None
    ladder: Ladder | None = None
    start_within: Text | None = None
    start_target: Target | None = None
    finish_within: Text | None = None


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `PATCH /admin/v1/presets/{name}` takes; what is left out stays as it is, null says nothing any more."""

    model: Text | UnsetType | None = UNSET
    ladder: Ladder | UnsetType | None = UNSET
    start_within: Text | UnsetType | None = UNSET
    start_target: Target | UnsetType | None = UNSET
    finish_within: Text | UnsetType | None = UNSET


def _check_model(model: object) -> None:
    if isinstance(model, str) and MARK in model:
        raise CallerFault("bad_request", "A preset names a model, not another preset.")


async def list_presets(desk: Desk, caller: Caller, request: Request) -> object:
    """GET /admin/v1/presets, in the order of names; `organisation`: of that one alone."""
    asked = request.query_params.get("organisation")
    only = caller.organisation_id if asked is None else desk.organisation(caller, asked).organisation_id
    return {"presets": [view(preset) for preset in desk.store.presets.list(only)]}


async def add_preset(desk: Desk, caller: Caller, request: Request) -> object:
    """POST /admin/v1/presets."""
    new = await read_body(request, NewPreset)
    if not NAME.fullmatch(new.name):
        raise CallerFault("bad_request", "A preset's name has lower-case letters, digits, dot, dash or underscore.")
    _check_model(new.model)
    if caller.operator:
        await desk.ensure_organisation()
    organisation_id = desk.organisation(caller, new.organisation).organisation_id
    if len(desk.store.presets.list(organisation_id)) >= MOST_PRESETS:
        raise CallerFault("bad_request", f"An organisation has at most {MOST_PRESETS} presets.")
    given = {name: getattr(new, name) for name in Change.__struct_fields__}
    if not any(value is not None for value in given.values()):
        raise CallerFault("bad_request", "A preset says at least one thing: a model, a ladder, or how soon.")
    words = checked_words(desk, organisation_id, given)
    return view(await desk.store.presets.add(Preset("", organisation_id, new.name, new.model, **words)))


def _named(desk: Desk, caller: Caller, request: Request) -> Preset:
    organisation = desk.organisation(caller, request.query_params.get("organisation"))
    return desk.store.presets.show(organisation.organisation_id, request.path_params["name"])


async def show_preset(desk: Desk, caller: Caller, request: Request) -> object:
    """GET /admin/v1/presets/{name}."""
    return view(_named(desk, caller, request))


async def change_preset(desk: Desk, caller: Caller, request: Request) -> object:
    """PATCH /admin/v1/presets/{name}: what is named is changed, the rest stays. Holds for the next request."""
    change = await read_body(request, Change)
    preset = _named(desk, caller, request)
    given: dict[str, Any] = {
        name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET
    }
    _check_model(change.model)
    words = checked_words(desk, preset.organisation_id, given, preset)
    return view(await desk.store.presets.change(preset, **(given | words)))


async def remove_preset(desk: Desk, caller: Caller, request: Request) -> object:
    """DELETE /admin/v1/presets/{name}; usage keeps its name."""
    preset = _named(desk, caller, request)
    now_unix_s = desk.now_unix_s()
    users = [
        key.name
        for key in desk.store.api_keys.list(preset.organisation_id)
        if key.preset == preset.name and key_state(key, now_unix_s) == "valid"
    ]
    if users:
        named = ", ".join(users[:3])
        raise CallerFault(
            "bad_request", f"{len(users)} valid keys have this preset ({named}): change or revoke them first."
        )
    await desk.store.presets.remove(preset)
    return {"removed": preset.name}
