"""Organisations over the admin routes: the operator makes and sets them, and what is set holds at once."""

from typing import Any

import pytest

from tests.rig import MODEL, chat
from tests.server.admin.office import Office


async def reason_of_a_request(office: Office) -> str:
    """Why the tier that served one request without a wish did."""
    async with office.rig.http() as client:
        answer = await client.post("/v1/chat/completions", json=chat())
    assert answer.status_code == 200, answer.text
    return answer.headers["x-startline-tier"] + " " + answer.headers["x-startline-reason"]


async def test_an_organisation_is_made_listed_and_used(office: Office) -> None:
    body = {"name": "Beta.1", "start_within": "30s", "race_slots": 7}
    made = await office.ask("POST", "organisations", status=201, json=body)
    assert {name: made[name] for name in body} == body and made["organisation_id"].startswith("org_")
    bare = await office.ask("POST", "organisations", status=201, json={"name": "bare"})
    assert (bare["start_within"], bare["race_slots"]) == (None, None)
    acme, *others = (await office.ask("GET", "organisations"))["organisations"]
    assert acme["name"] == "acme" and others == [made, bare]
    key = await office.ask("POST", "keys", status=201, json={"name": "x", "organisation": "Beta.1"})
    assert key["organisation_id"] == made["organisation_id"]
    assert await office.refused("POST", "organisations", json=body) == "name_taken"


async def test_what_is_set_holds_for_the_next_request(office: Office) -> None:
    assert await reason_of_a_request(office) == "default tier_direct"
    changed: dict[str, Any] = {}
    for change, then in (
        ({"start_within": "flex"}, "flex tier_direct"),
        ({"start_within": "20s"}, "flex flex_won"),
        ({"race_slots": 0}, "default flex_slots_full"),
        ({"race_slots": None}, "flex flex_won"),
        ({"start_within": None, "race_slots": 5}, "default tier_direct"),
    ):
        changed = await office.ask("PATCH", "organisations/acme", json=change)
        assert changed | change == changed
        assert await reason_of_a_request(office) == then
    by_id = f"organisations/{changed['organisation_id']}"
    assert await office.ask("PATCH", by_id, json={}) == changed, "what is left out stays"
    assert (await office.ask("GET", "organisations"))["organisations"] == [changed]


async def test_a_management_key_sees_its_own_and_changes_nothing(office: Office) -> None:
    await office.ask("POST", "organisations", status=201, json={"name": "other"})
    before = (await office.ask("GET", "organisations"))["organisations"]
    assert (await office.ask("GET", "organisations", by="manager"))["organisations"] == before[:1]
    change = {"race_slots": 1}
    assert await office.refused("POST", "organisations", by="manager", json={"name": "x"}) == "operator_only"
    for name in ("acme", "other", "nobody"):
        assert await office.refused("PATCH", f"organisations/{name}", by="manager", json=change) == "operator_only"
    assert (await office.ask("GET", "organisations"))["organisations"] == before


async def test_names_of_models_hold_at_once_and_are_given_by_a_management_key_too(office: Office) -> None:
    def named(answer: Any) -> dict[str, str]:
        aliases: dict[str, str] = answer["aliases"]
        return aliases

    async def asked(model: str) -> str:
        async with office.rig.http() as client:
            answer = await client.post("/v1/chat/completions", json=chat(model=model))
        return answer.headers["x-startline-model"]

    assert await asked("fast") == "fast", "this provider is passed any model"
    change: dict[str, Any] = {"aliases": {"fast": f"sim/{MODEL}", "gone": "x"}}
    assert named(await office.ask("PATCH", "organisations/acme", by="manager", json=change)) == change["aliases"]
    assert await asked("fast") == MODEL
    assert await asked("gone") == "x"
    change = {"aliases": {"gone": None, "other": MODEL}, "race_slots": 9}
    assert await office.refused("PATCH", "organisations/acme", by="manager", json=change) == "operator_only"
    assert named(await office.ask("PATCH", "organisations/acme", json=change)) == {
        "fast": f"sim/{MODEL}",
        "other": MODEL,
    }
    assert (await asked("other"), await asked("gone")) == (MODEL, "gone")
    await office.ask("POST", "organisations", status=201, json={"name": "beta"})
    change = {"aliases": {"fast": "y"}}
    assert await office.refused("PATCH", "organisations/beta", by="manager", json=change) == "record_not_found"


@pytest.mark.parametrize(
    "body",
    [
        {"start_within": "soon"},
        {"start_within": "99h"},
        {"start_within": ""},
        {"start_within": 30},
        {"race_slots": -1},
        {"race_slots": 10**30},
        {"race_slots": "7"},
        {"surprise": 1},
    ],
)
async def test_what_cannot_be_set_is_refused(office: Office, body: dict[str, Any]) -> None:
    assert await office.refused("POST", "organisations", json={"name": "x"} | body) == "bad_request"
    assert await office.refused("PATCH", "organisations/acme", json=body) == "bad_request"
    (acme,) = (await office.ask("GET", "organisations"))["organisations"]
    assert (acme["start_within"], acme["race_slots"]) == (None, None)


@pytest.mark.parametrize("name", ["", "a b", "a/b", ".", "org_2", "x" * 65, "é"])
async def test_a_name_that_a_path_cannot_have_is_refused(office: Office, name: str) -> None:
    assert await office.refused("POST", "organisations", json={"name": name}) == "bad_request"


@pytest.mark.parametrize(
    "aliases", [{"": "m"}, {"a b": "m"}, {"a": ""}, {"a": "b\n"}, {"a": 1}, ["a"], None, {"x" * 201: "m"}]
)
async def test_what_is_no_name_of_a_model_is_refused(office: Office, aliases: Any) -> None:
    assert await office.refused("PATCH", "organisations/acme", json={"aliases": aliases}) == "bad_request"
    many = {f"a{number}": "m" for number in range(1001)}
    assert await office.refused("PATCH", "organisations/acme", json={"aliases": many}) == "bad_request"


async def test_one_that_is_not_there_cannot_be_set(office: Office) -> None:
    assert await office.refused("PATCH", "organisations/nobody", json={"race_slots": 1}) == "record_not_found"
    assert await office.refused("PATCH", "organisations/acme", json={"name": "x"}) == "bad_request", "names stay"
