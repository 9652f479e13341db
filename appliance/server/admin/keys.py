"""API keys: make, list, show, change, rotate, revoke. The rule: a key's text is shown once, when it is made."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request

from appliance.domain.errors import CallerFault
from appliance.domain.identity import KEY_PREFIXES, ApiKey, KeyKind
from appliance.policy.access import read_networks
from appliance.server.admin.desk import Caller, Desk, read_body
from appliance.server.admin.words import Ladder, Target, Text, checked_words
from appliance.store.faults import UnknownRow

Name = Annotated[str, Meta(min_length=1, max_length=200)]
WORDS = ("start_within", "start_target", "finish_within", "ladder")
LAST_UNIX_S = 253_402_300_799
"""The end of the year 9999, the last that dates are written for."""
_PREFIX_OF = {kind: prefix for prefix, kind in KEY_PREFIXES.items()}


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /admin/v1/keys` takes."""

    name: Name
    kind: KeyKind = "inference"
    organisation: str | None = None
    expires_unix_s: Annotated[int, Meta(ge=0, le=LAST_UNIX_S)] | None = None
    start_within: Text | None = None
    models: tuple[Name, ...] | None = None
    addresses: tuple[Name, ...] | None = None
    priority: bool = False
    started_at: Literal["output", "content"] = "output"
    start_target: Target | None = None
    finish_within: Text | None = None
    preset: Text | None = None
    ladder: Ladder | None = None


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `PATCH /admin/v1/keys/{id}` takes; what is left out stays as it is, null says nothing any more.

    What a key may do at all is not among it: who needs other limits makes another key.
    """

    start_within: Text | UnsetType | None = UNSET
    start_target: Target | UnsetType | None = UNSET
    finish_within: Text | UnsetType | None = UNSET
    preset: Text | UnsetType | None = UNSET
    ladder: Ladder | UnsetType | None = UNSET


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rotation takes: how long the old key stays valid."""

    grace_s: Annotated[int, Meta(ge=0, le=365 * 86_400)] = 0


def key_state(key: ApiKey, now_unix_s: int) -> Literal["valid", "expired", "revoked"]:
    """Whether a key may be used."""
    if key.revoked_unix_s is not None:
        return "revoked"
    if key.expires_unix_s is not None and key.expires_unix_s <= now_unix_s:
        return "expired"
    return "valid"


def key_view(key: ApiKey, now_unix_s: int) -> dict[str, Any]:
    """A key without its secret."""
    return {
        "id": key.key_id,
        "name": key.name,
        "kind": key.kind,
        "state": key_state(key, now_unix_s),
        "shown": f"{_PREFIX_OF[key.kind]}{key.public_id}-…",
        "organisation_id": key.organisation_id,
        "created_unix_s": key.created_unix_s,
        "expires_unix_s": key.expires_unix_s,
        "revoked_unix_s": key.revoked_unix_s,
        "start_within": key.start_within,
        "models": key.models,
        "addresses": key.addresses,
        "priority": key.priority,
        "started_at": key.started_at,
        "start_target": key.start_target,
        "finish_within": key.finish_within,
        "preset": key.preset,
        "ladder": key.ladder,
    }


async def list_keys(desk: Desk, caller: Caller, _: Request) -> object:
    """GET /admin/v1/keys."""
    now_unix_s = desk.now_unix_s()
    return {"keys": [key_view(key, now_unix_s) for key in desk.store.api_keys.list(caller.organisation_id)]}


async def create_key(desk: Desk, caller: Caller, request: Request) -> object:
    """POST /admin/v1/keys."""
    new = await read_body(request, NewKey)
    now_unix_s = desk.now_unix_s()
    try:
        read_networks(new.addresses or ())
    except ValueError as wrong:
        raise CallerFault("bad_request", f"{wrong}.") from None
    if new.expires_unix_s is not None and new.expires_unix_s <= now_unix_s:
        raise CallerFault("bad_request", "The key would have expired already.")
    if caller.operator:
        await desk.ensure_organisation()
    organisation_id = desk.organisation(caller, new.organisation).organisation_id
    words = checked_words(desk, organisation_id, {name: getattr(new, name) for name in WORDS})
    _check_preset(desk, organisation_id, new.preset)
    key, text = await desk.store.api_keys.create(
        organisation_id,
        new.kind,
        new.name,
        now_unix_s=now_unix_s,
        expires_unix_s=new.expires_unix_s,
        models=new.models,
        addresses=new.addresses,
        priority=new.priority,
        started_at=new.started_at,
        preset=new.preset,
        **words,
    )
    return {"key": text, **key_view(key, now_unix_s)}


def _check_preset(desk: Desk, organisation_id: str, name: object) -> None:
    if isinstance(name, str) and name not in desk.store.directory.presets(organisation_id):
        raise CallerFault("bad_request", "There is no such preset: startline preset add")


def _named(desk: Desk, caller: Caller, request: Request) -> ApiKey:
    named = request.path_params["id"]
    known = desk.store.api_keys.list(caller.organisation_id)
    for key in known:
        if named in (key.key_id, key.public_id):
            return key
    now_unix_s = desk.now_unix_s()
    alike = [key for key in known if key.name == named and key_state(key, now_unix_s) == "valid"]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise CallerFault("bad_request", "Several keys have this name; use the id.")
    raise UnknownRow("there is no such key")


async def show_key(desk: Desk, caller: Caller, request: Request) -> object:
    """GET /admin/v1/keys/{id}; an id, the id inside the key's text, or a name that only one valid key has."""
    return key_view(_named(desk, caller, request), desk.now_unix_s())


async def change_key(desk: Desk, caller: Caller, request: Request) -> object:
    """PATCH /admin/v1/keys/{id}: what is named is changed, the rest stays. Holds for the next request."""
    change = await read_body(request, Change)
    key, now_unix_s = _named(desk, caller, request), desk.now_unix_s()
    if (state := key_state(key, now_unix_s)) != "valid":
        raise CallerFault("bad_request", f"The key is {state}; make a new one.")
    given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    _check_preset(desk, key.organisation_id, change.preset)
    words = checked_words(desk, key.organisation_id, given, key)
    return key_view(await desk.store.api_keys.change(key, **(given | words)), now_unix_s)


async def rotate_key(desk: Desk, caller: Caller, request: Request) -> object:
    """POST /admin/v1/keys/{id}/rotate."""
    rotation = await read_body(request, Rotation)
    now_unix_s = desk.now_unix_s()
    old = _named(desk, caller, request)
    key, text = await desk.store.api_keys.rotate(old.key_id, now_unix_s=now_unix_s, grace_s=rotation.grace_s)
    return {"key": text, "replaces": old.key_id, **key_view(key, now_unix_s)}


async def revoke_key(desk: Desk, caller: Caller, request: Request) -> object:
    """POST /admin/v1/keys/{id}/revoke; again is no error."""
    now_unix_s = desk.now_unix_s()
    key = await desk.store.api_keys.revoke(_named(desk, caller, request).key_id, now_unix_s=now_unix_s)
    return key_view(key, now_unix_s)
