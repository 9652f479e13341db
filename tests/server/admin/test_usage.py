"""Usage over the admin routes: rows, totals, groups, filters, one request with its attempts."""

from typing import Any

import pytest

from tests.rig import chat
from tests.server.admin.office import Office


async def spend(office: Office, **more: Any) -> str:
    """One request: its id, once its row is there."""
    async with office.rig.http() as client:
        answer = await client.post("/v1/chat/completions", json=chat(**more))
    await office.rig.appliance.store.ledger.barrier()
    request_id = answer.headers["x-startline-request-id"]
    while (await office.operator.get(f"/admin/v1/usage/{request_id}")).status_code == 404:
        pass
    return str(request_id)


async def test_rows_totals_and_groups_agree(office: Office) -> None:
    ids = [await spend(office, start_within="20s"), await spend(office), await spend(office, sim="refuse=overloaded")]
    for by in ("operator", "manager"):
        answer = await office.ask("GET", "usage", by=by, params={"group": "tier"})
        assert [row["request_id"] for row in answer["requests"]] == ids[::-1], "newest first"
        totals = answer["totals"]
        assert (totals["requests"], totals["failed"], totals["deadlines"]) == (3, 1, 1)
        assert sum(group["requests"] for group in answer["groups"]) == 3
        assert totals["saved_nanos"] == totals["default_nanos"] - totals["compared_nanos"] > 0
        flex = next(group for group in answer["groups"] if group["group"] == "flex")
        assert flex["requests"] == 1


async def test_one_request_has_its_attempts(office: Office) -> None:
    request_id = await spend(office, start_within="20s", sim="flex.refuse=flex_unavailable")
    detail = await office.ask("GET", f"usage/{request_id}", by="manager")
    assert detail["request"]["reason"] == "flex_capacity"
    assert [(one["tier_sent"], one["outcome"]) for one in detail["attempts"]] == [
        ("flex", "refused"),
        ("default", "won"),
    ]
    assert "% for 99 %" in detail["plan"]
    direct = await office.ask("GET", f"usage/{await spend(office)}")
    assert direct["plan"] is None
    assert await office.refused("GET", "usage/req_nothing") == "record_not_found"


async def test_filters_and_pages(office: Office) -> None:
    first, second = await spend(office), await spend(office, start_within="20s")
    at_s = (await office.ask("GET", f"usage/{second}"))["request"]["at_unix_us"] / 1e6

    async def found(**params: Any) -> list[str]:
        return [row["request_id"] for row in (await office.ask("GET", "usage", params=params))["requests"]]

    assert await found(tier="flex") == [second]
    assert await found(key="laptop") == await found(key=office.rig.key.key_id) == [second, first]
    assert await found(key="another") == await found(model="nothing") == []
    assert await found(since=f"{at_s:.6f}") == [second]
    assert await found(until=f"{at_s:.6f}") == [first]
    assert await found(since="2020-01-31T12:00:00Z", until="2020-02-01") == []
    page = await office.ask("GET", "usage", params={"limit": 1})
    assert await found(limit=1, before=page["next"]) == [first]


@pytest.mark.parametrize(
    "params",
    [
        {"since": "soon"},
        {"limit": "1001"},
        {"limit": "-1"},
        {"limit": "x"},
        {"group": "colour"},
        {"before": "x"},
        {"x": 1},
    ],
)
async def test_filters_that_cannot_be_are_refused(office: Office, params: dict[str, Any]) -> None:
    assert await office.refused("GET", "usage", params=params) == "bad_request"


async def test_usage_of_another_organisation_is_not_there(office: Office) -> None:
    request_id = await spend(office)
    store = office.rig.appliance.store
    other = await store.organisations.create("other", now_unix_s=1)
    _, token = await store.api_keys.create(other.organisation_id, "management", "x", now_unix_s=1)
    office.manager.headers["authorization"] = f"Bearer {token}"
    assert (await office.ask("GET", "usage", by="manager"))["totals"]["requests"] == 0
    assert await office.refused("GET", f"usage/{request_id}", by="manager") == "record_not_found"
