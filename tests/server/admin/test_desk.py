"""Who may use the admin routes, what bodies they take, and how they refuse."""

import pytest

from appliance.server.admin.desk import BODY_BYTES
from tests.rig import request
from tests.server.admin.office import Office


async def test_only_a_management_key_opens_the_door_over_tcp(office: Office) -> None:
    url = f"{office.rig.base_url}/admin/v1/keys"
    for headers, code in (
        ({}, "missing_api_key"),
        ({"authorization": "Bearer mk-sl-nonsense"}, "invalid_api_key"),
        ({"authorization": f"Bearer {office.rig.token}"}, "wrong_key_kind"),
    ):
        office.manager.headers.pop("authorization", None)
        answer = await office.manager.get(url, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == code
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["x-startline-request-id"].startswith("req_")


async def test_a_key_in_the_query_opens_nothing(office: Office) -> None:
    del office.manager.headers["authorization"]
    answer = await office.manager.get(f"/admin/v1/keys?key={office.rig.management_token}")
    assert answer.json()["error"]["code"] == "missing_api_key"


async def test_a_management_key_that_may_not_come_from_here_is_refused(office: Office) -> None:
    _, token = await office.rig.new_key("management", addresses=("10.0.0.0/8",))
    answer = await office.manager.get("/admin/v1/keys", headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "address_not_allowed")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "bad_json"),
        (b"[]", "bad_request"),
        (b'{"name": 5}', "bad_request"),
        (b'{"name": "x", "surprise": 1}', "bad_request"),
        (b'{"name": "\xff"}', "bad_json"),
        (b'{"name": ' + b"[" * 100_000, "bad_request"),
    ],
)
async def test_bodies_that_cannot_be_read_are_refused(office: Office, body: bytes, code: str) -> None:
    assert await office.refused("POST", "keys", content=body) == code


@pytest.mark.parametrize("announced", [True, False])
async def test_a_long_body_is_refused_before_it_is_read_whole(office: Office, announced: bool) -> None:
    size = BODY_BYTES + 1
    length = [("content-length", str(size))] if announced else [("transfer-encoding", "chunked")]
    client = await office.rig.connect_operator()
    await client.send(request("POST", "/admin/v1/keys", headers=length))
    if not announced:
        await client.send(b"%x\r\n%b" % (2 * size, b" " * size))
    answer = await client.answer()
    assert (answer.status, answer.code) == (413, "request_too_large")


async def test_a_defect_is_answered_and_logged_without_its_message(
    office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("CANARY")

    monkeypatch.setattr(office.rig.appliance.store.api_keys, "list", broken)
    assert await office.refused("GET", "keys") == "internal_error"
    told = capsys.readouterr()
    assert "RuntimeError" in told.out + told.err
    assert "CANARY" not in told.out + told.err


async def test_an_organisation_that_is_not_ones_own_does_not_exist(office: Office) -> None:
    other = await office.rig.appliance.store.organisations.create("other", now_unix_s=1)
    body = {"name": "x", "organisation": other.organisation_id}
    assert await office.refused("POST", "keys", by="manager", json=body) == "record_not_found"
    assert await office.refused("POST", "keys", json={"name": "x", "organisation": "nobody"}) == "record_not_found"
    made = await office.ask("POST", "keys", status=201, json={"name": "x", "organisation": "other"})
    assert made["organisation_id"] == other.organisation_id
    assert made["id"] not in {key["id"] for key in (await office.ask("GET", "keys", by="manager"))["keys"]}
    assert await office.refused("GET", f"keys/{made['id']}", by="manager") == "record_not_found"
    assert await office.refused("POST", f"keys/{made['id']}/revoke", by="manager") == "record_not_found"


async def test_a_body_that_is_no_json_is_told_where(office: Office) -> None:
    for content, says in (
        (b'{"name":', "(byte 8: it ends too early)"),
        (b'{"name":"secret\xff"}', "not UTF-8 (byte 15)"),
        (b'{"name":"secret"}}', "(byte 18)"),
        (b'{"name":' + b'[{"a":' * 5_000, "too deeply"),
        (b'{"nom":' + b'{"a":' * 5_000, "too deeply"),
    ):
        answer = await office.operator.post("/admin/v1/keys", content=content)
        error = answer.json()["error"]
        if "deeply" in says and error["code"] == "bad_request":
            continue  # its type was wrong before its depth was
        assert (answer.status_code, error["code"]) == (400, "bad_json")
        assert says in error["message"] and "secret" not in error["message"]


async def test_numbers_that_no_database_holds_are_refused(office: Office) -> None:
    for digits in ("0" * 18, "0" * 60, "0" * 400, "0" * 5_000):
        content = b'{"name":"x","expires_unix_s":1%b}' % digits.encode()
        answer = await office.operator.post("/admin/v1/keys", content=content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request"), len(digits)
        for query in (f"limit=1{digits}", f"limit={digits}1", f"before=1{digits}-x", f"since=1{digits}"):
            answer = await office.operator.get(f"/admin/v1/usage?{query}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request"), query[:20]
