"""Presets over the admin routes: what is said holds for the next request, and nobody else's is seen."""

import pytest

from tests.rig import MODEL, chat
from tests.server.admin.office import Office

LADDER = [f"sim/{MODEL}:flex", f"sim/{MODEL}"]


async def told(office: Office, model: str) -> tuple[int, str, str]:
    """Status, tier and reason of a request for this model."""
    async with office.rig.http() as client:
        answer = await client.post("/v1/chat/completions", json=chat(model=model))
    named = answer.headers
    return answer.status_code, named.get("x-startline-tier", answer.text), named.get("x-startline-reason", "")


@pytest.mark.parametrize("by", ["operator", "manager"])
async def test_a_preset_is_made_used_changed_and_removed(office: Office, by: str) -> None:
    made = await office.ask("POST", "presets", by=by, status=201, json={"name": "night", "ladder": LADDER})
    assert (await office.ask("GET", "presets/night", by=by)) == made
    assert (await office.ask("GET", "presets", by=by)) == {"presets": [made]}
    assert await told(office, "@preset/night") == (200, "flex", "tier_direct")
    async with office.rig.http() as client:
        ids = [row["id"] for row in (await client.get("/v1/models")).json()["data"]]
    assert "@preset/night" in ids
    change = {"start_within": "20s", "start_target": 0.95}
    changed = await office.ask("PATCH", "presets/night", by=by, json=change)
    assert changed == made | change
    assert await told(office, "@preset/night") == (200, "flex", "flex_won")
    await office.ask("PATCH", "presets/night", by=by, json={"ladder": None, "model": MODEL, "start_within": "default"})
    assert await told(office, "@preset/night") == (200, "default", "tier_direct")
    assert await office.refused("POST", "presets", by=by, json={"name": "night", "model": "m"}) == "name_taken"
    assert await office.ask("DELETE", "presets/night", by=by) == {"removed": "night"}
    assert await office.refused("GET", "presets/night", by=by) == "record_not_found"
    status, body, _ = await told(office, "@preset/night")
    assert status == 400 and "preset_not_found" in body


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Night", "model": "m"},
        {"name": "a/b", "model": "m"},
        {"name": "night"},
        {"name": "night", "model": "@preset/other"},
        {"name": "night", "modle": "m"},
    ],
)
async def test_what_is_no_preset_is_refused(office: Office, body: dict[str, str]) -> None:
    assert await office.refused("POST", "presets", json=body) == "bad_request"
    assert await office.ask("GET", "presets") == {"presets": []}


async def test_a_preset_that_a_key_needs_stays(office: Office) -> None:
    assert await office.refused("POST", "keys", json={"name": "x", "preset": "night"}) == "bad_request"
    await office.ask("POST", "presets", status=201, json={"name": "night", "start_within": "20s"})
    key = await office.ask("POST", "keys", status=201, json={"name": "x", "preset": "night"})
    assert key["preset"] == "night"
    assert await office.refused("DELETE", "presets/night") == "bad_request"
    await office.ask("POST", f"keys/{key['id']}/revoke")
    await office.ask("DELETE", "presets/night")


async def test_nobody_sees_another_organisations(office: Office) -> None:
    await office.ask("POST", "organisations", status=201, json={"name": "other"})
    theirs = {"name": "night", "model": "m", "organisation": "other"}
    await office.ask("POST", "presets", status=201, json=theirs)
    assert await office.ask("GET", "presets", by="manager") == {"presets": []}
    assert await office.refused("GET", "presets/night", by="manager") == "record_not_found"
    for method, path in (("GET", "presets/night"), ("DELETE", "presets/night")):
        code = await office.refused(method, f"{path}?organisation=other", by="manager")
        assert code == "record_not_found"
    assert len((await office.ask("GET", "presets?organisation=other"))["presets"]) == 1
    status, body, _ = await told(office, "@preset/night")
    assert status == 400 and "preset_not_found" in body
