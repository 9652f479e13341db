"""Organisations: list, create, set. The rule: only the operator changes what they cost and may take of the machine.

A management key sees its own, and gives the models there its names.
"""

import re
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request

from appliance.domain.errors import CallerFault
from appliance.server.admin.desk import Caller, Desk, read_body, view
from appliance.server.admin.words import Target, Text, checked_words

NAME = re.compile(r"(?!org_)[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
"""A name is used in paths, and never taken for an id."""
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[!-~]+\Z")]
MOST_ALIASES = 1000
WORDS = ("start_within", "start_target", "finish_within")
RaceSlots = Annotated[int, Meta(ge=0, le=1_000_000)]


class NewOrganisation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /admin/v1/organisations` takes; None: what the settings of the same names say."""

    name: str
    start_within: Text | None = None
    race_slots: RaceSlots | None = None
    start_target: Target | None = None
    finish_within: Text | None = None
    explore: bool = True


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `PATCH /admin/v1/organisations/{organisation}` takes; what is left out stays as it is.

    `aliases`: each name is set, or taken away by null; the others stay.
    """

    start_within: Text | UnsetType | None = UNSET
    race_slots: RaceSlots | UnsetType | None = UNSET
    aliases: dict[Name, Name | None] | UnsetType = UNSET
    start_target: Target | UnsetType | None = UNSET
    finish_within: Text | UnsetType | None = UNSET
    explore: bool | UnsetType = UNSET


def _operator_only(caller: Caller) -> None:
    if not caller.operator:
        raise CallerFault("operator_only", "Only the operator may make or change organisations: startline organisation")


async def list_organisations(desk: Desk, caller: Caller, _: Request) -> object:
    """GET /admin/v1/organisations, oldest first."""
    known = desk.store.organisations.list()
    return {"organisations": [view(one) for one in known if caller.organisation_id in (None, one.organisation_id)]}


async def create_organisation(desk: Desk, caller: Caller, request: Request) -> object:
    """POST /admin/v1/organisations."""
    _operator_only(caller)
    new = await read_body(request, NewOrganisation)
    if not NAME.fullmatch(new.name):
        raise CallerFault(
            "bad_request",
            "An organisation's name has letters, digits, dot, dash or underscore, and does not begin with org_.",
        )
    words = checked_words(desk, "", {name: getattr(new, name) for name in WORDS})
    made = await desk.store.organisations.create(
        new.name, now_unix_s=desk.now_unix_s(), race_slots=new.race_slots, explore=new.explore, **words
    )
    return view(made)


async def change_organisation(desk: Desk, caller: Caller, request: Request) -> object:
    """PATCH /admin/v1/organisations/{organisation}; its name or id. Holds for the next request."""
    change = await read_body(request, Change)
    given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    if set(given) != {"aliases"}:
        _operator_only(caller)
    name = request.path_params["organisation"]
    old = desk.store.organisations.show(name) if caller.operator else desk.organisation(caller, name)
    if isinstance(change.aliases, dict) and len(old.aliases | change.aliases) > MOST_ALIASES:
        raise CallerFault("bad_request", f"An organisation has at most {MOST_ALIASES} names of models.")
    words = checked_words(desk, old.organisation_id, given, old)
    return view(await desk.store.organisations.change(old, **(given | words)))
