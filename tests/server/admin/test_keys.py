"""API keys over the admin routes."""

from typing import Any

import pytest

from appliance.server.admin.desk import Desk
from tests.rig import MODEL, chat
from tests.server.admin.office import Office


async def status_with(office: Office, token: str) -> int:
    async with office.rig.http() as client:
        return (await client.get("/v1/models", headers={"authorization": f"Bearer {token}"})).status_code


@pytest.mark.parametrize("by", ["operator", "manager"])
async def test_a_key_is_made_used_shown_rotated_and_revoked(office: Office, by: str) -> None:
    made = await office.ask("POST", "keys", by=by, status=201, json={"name": "ci", "start_within": "30s"})
    token = made.pop("key")
    assert token.startswith("sk-sl-") and await status_with(office, token) == 200
    shown = await office.ask("GET", f"keys/{made['id']}", by=by)
    assert shown == made and shown["state"] == "valid" and shown["start_within"] == "30s"
    assert await office.ask("GET", "keys/ci", by=by) == made, "a name that one key has will do"
    new = await office.ask("POST", f"keys/{made['id']}/rotate", by=by, status=201)
    assert new["replaces"] == made["id"] and new["start_within"] == "30s" and new["key"] != token
    assert [await status_with(office, one) for one in (token, new["key"])] == [401, 200]
    revoked = await office.ask("POST", f"keys/{new['id']}/revoke", by=by)
    assert revoked["state"] == "revoked" and await status_with(office, new["key"]) == 401
    assert (await office.ask("POST", f"keys/{new['id']}/revoke", by=by))["state"] == "revoked", "again is no error"
    listed = await office.ask("GET", "keys", by=by)
    assert token not in str(listed) and new["key"] not in str(listed)


async def test_a_rotated_key_may_stay_valid_for_a_while(office: Office) -> None:
    made = await office.ask("POST", "keys", status=201, json={"name": "ci"})
    new = await office.ask("POST", f"keys/{made['id']}/rotate", status=201, json={"grace_s": 60})
    assert [await status_with(office, one) for one in (made["key"], new["key"])] == [200, 200]
    old = await office.ask("GET", f"keys/{made['id']}")
    assert old["state"] == "valid" and old["expires_unix_s"] is not None


async def test_revoking_ends_the_streams_of_the_key(office: Office) -> None:
    made = await office.ask("POST", "keys", status=201, json={"name": "ci"})
    body = chat(sim="stall=3", stream=True)
    async with (
        office.rig.http() as client,
        client.stream("POST", "/v1/chat/completions", json=body, headers={"authorization": f"Bearer {made['key']}"})
        as answer,
    ):  # fmt: skip
        await office.ask("POST", f"keys/{made['id']}/revoke")
        content = await answer.aread()
    assert b"revoked_api_key" in content and b"[DONE]" not in content


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 201},
        {"name": "x", "kind": "root"},
        {"name": "x", "start_within": "soon"},
        {"name": "x", "start_within": "99h"},
        {"name": "x", "addresses": ["nowhere"]},
        {"name": "x", "expires_unix_s": 5},
        {"name": "x", "started_at": "headers"},
    ],
)
async def test_what_cannot_be_a_key_is_refused(office: Office, body: dict[str, Any]) -> None:
    assert await office.refused("POST", "keys", json=body) == "bad_request"


async def served(office: Office, token: str) -> tuple[str, str]:
    """Tier and reason of a request that says nothing itself."""
    async with office.rig.http() as client:
        answer = await client.post(
            "/v1/chat/completions", json=chat(), headers={"authorization": f"Bearer {token}"}, timeout=10
        )
    return answer.headers["x-startline-tier"], answer.headers["x-startline-reason"]


@pytest.mark.parametrize("by", ["operator", "manager"])
async def test_what_is_changed_of_a_key_holds_for_its_next_request(office: Office, by: str) -> None:
    ladder = [f"sim/{MODEL}:flex", f"sim/{MODEL}"]
    await office.ask("POST", "presets", status=201, json={"name": "night", "start_within": "flex"})
    made = await office.ask("POST", "keys", status=201, json={"name": "ci"})
    token, path = made.pop("key"), f"keys/{made['id']}"
    assert await served(office, token) == ("default", "tier_direct")
    assert await office.ask("PATCH", "keys/ci", by=by, json={"preset": "night"}) == made | {"preset": "night"}
    assert await served(office, token) == ("flex", "tier_direct")
    change = {"preset": None, "start_within": "20s", "start_target": "95%", "finish_within": "60s", "ladder": ladder}
    changed = await office.ask("PATCH", path, by=by, json=change)
    assert changed == made | change | {"start_target": 0.95}
    assert await served(office, token) == ("flex", "flex_won")
    changed = await office.ask("PATCH", path, by=by, json={"finish_within": None, "ladder": []})
    assert (changed["ladder"], changed["finish_within"], changed["start_within"]) == (None, None, "20s")
    assert await office.ask("GET", path) == changed
    new = await office.ask("POST", f"{path}/rotate", status=201)
    assert new["start_target"] == 0.95, "a rotated key goes on with it"
    assert await office.refused("PATCH", path, json={"start_within": "9s"}) == "bad_request", "it is revoked"


@pytest.mark.parametrize(
    "body",
    [
        {"start_within": "soon"},
        {"start_target": 0.2},
        {"finish_within": "flex"},
        {"ladder": ["nobody/m"]},
        {"preset": "nobody"},
        {"start_within": "flex", "finish_within": "9s"},
        {"models": ["m"]},
        {"kind": "management"},
    ],
)
async def test_what_a_key_cannot_have_is_refused_and_nothing_of_it_changes(
    office: Office, body: dict[str, Any]
) -> None:
    made = await office.ask("POST", "keys", status=201, json={"name": "ci", "start_within": "30s"})
    assert await office.refused("PATCH", "keys/ci", json={"start_target": 0.9} | body) in (
        "bad_request",
        "invalid_ladder",
    )
    assert await office.ask("GET", "keys/ci") == {name: value for name, value in made.items() if name != "key"}


async def test_a_request_in_work_goes_on_though_its_key_is_changed(office: Office) -> None:
    made = await office.ask("POST", "keys", status=201, json={"name": "ci"})
    headers = {"authorization": f"Bearer {made['key']}"}
    async with (
        office.rig.http() as client,
        client.stream(
            "POST", "/v1/chat/completions", json=chat(sim="stall=1,stall_s=0.3", stream=True), headers=headers
        ) as answer,
    ):
        await office.ask("PATCH", "keys/ci", json={"start_within": "20s"})
        assert b"[DONE]" in await answer.aread()


async def test_another_organisations_key_is_not_found(office: Office) -> None:
    await office.ask("POST", "organisations", status=201, json={"name": "other"})
    theirs = await office.ask("POST", "keys", status=201, json={"name": "ci", "organisation": "other"})
    change = {"start_within": "20s"}
    assert await office.refused("PATCH", f"keys/{theirs['id']}", by="manager", json=change) == "record_not_found"
    assert (await office.ask("GET", f"keys/{theirs['id']}"))["start_within"] is None


async def test_restrictions_hold(office: Office) -> None:
    body = {"name": "narrow", "models": ["gpt-4*"], "addresses": ["192.0.2.0/24"], "priority": True}
    made = await office.ask("POST", "keys", status=201, json=body)
    assert (made["models"], made["addresses"], made["priority"]) == (["gpt-4*"], ["192.0.2.0/24"], True)
    assert await status_with(office, made["key"]) == 403


async def test_a_name_that_several_keys_have_is_not_guessed(office: Office) -> None:
    for _ in range(2):
        await office.ask("POST", "keys", status=201, json={"name": "twin"})
    assert await office.refused("POST", "keys/twin/revoke") == "bad_request"
    assert await office.refused("GET", "keys/nobody") == "record_not_found"


async def test_a_name_means_the_key_that_is_still_valid(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    old = await office.ask("POST", "keys", status=201, json={"name": "ci"})
    new = await office.ask("POST", f"keys/{old['id']}/rotate", status=201, json={"grace_s": 60})
    assert await office.refused("GET", "keys/ci") == "bad_request", "for a minute both are"
    ends_unix_s = (await office.ask("GET", f"keys/{old['id']}"))["expires_unix_s"]
    monkeypatch.setattr(Desk, "now_unix_s", lambda _: ends_unix_s)
    assert (await office.ask("GET", "keys/ci"))["id"] == new["id"]
