"""API keys over the admin routes."""

from typing import Any

import pytest

from appliance.server.admin.desk import Desk
from tests.rig import chat
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
