"""Providers over the admin routes: added, checked, tested, removed; the credential never comes out."""

from typing import Any

import pytest

from tests.rig import Rig, chat
from tests.server.admin.office import Office, opened

SECRET = "sk-sim-CANARY-of-a-provider"


def body(rig: Rig, **more: Any) -> dict[str, Any]:
    return {"name": "second", "base_url": rig.simulator.base_url, "secret": SECRET, **more}


async def test_a_provider_is_added_asked_listed_tested_and_removed(office: Office) -> None:
    answer = await office.ask("POST", "providers", status=201, json=body(office.rig, tiers=["flex", "default"]))
    provider = answer["provider"]
    assert answer["check"]["ok"] is True
    assert (provider["kind"], provider["tiers"], provider["has_key"]) == (
        "openai_compatible",
        ["flex", "default"],
        True,
    )
    assert [one["name"] for one in (await office.ask("GET", "providers"))["providers"]] == ["sim", "second"]
    assert (await office.ask("POST", "providers/second/test"))["check"]["ok"] is True
    assert await office.ask("GET", "providers/second") == provider
    assert await office.ask("DELETE", "providers/second") == {"removed": "second"}
    assert await office.refused("GET", "providers/second") == "record_not_found"


async def test_no_answer_holds_the_credential(office: Office) -> None:
    more = {"headers": {"x-team": "CANARY-header"}}
    answers = [
        await office.ask("POST", "providers", status=201, json=body(office.rig, **more)),
        await office.ask("GET", "providers"),
        await office.ask("GET", "providers/second"),
        await office.ask("POST", "providers/second/test"),
    ]
    assert "CANARY" not in str(answers)
    assert answers[2]["headers"] == ["x-team"]


async def test_what_a_provider_lists_is_kept_unless_any_model_is_wanted(office: Office) -> None:
    office.rig.simulator.world.models["listed"] = office.rig.simulator.world.models["*"]
    kept = await office.ask("POST", "providers", status=201, json=body(office.rig))
    assert kept["provider"]["models"] == ["listed"]
    told = await office.ask("POST", "providers", status=201, json=body(office.rig, name="own", models=["a", "b"]))
    assert told["provider"]["models"] == ["a", "b"]
    free = await office.ask("POST", "providers", status=201, json=body(office.rig, name="free", any_model=True))
    assert free["provider"]["models"] is None
    office.rig.simulator.world.models["newer"] = office.rig.simulator.world.models["*"]
    assert (await office.ask("POST", "providers/second/test"))["provider"]["models"] == ["listed", "newer"]
    assert (await office.ask("POST", "providers/free/test"))["provider"]["models"] is None


async def test_one_that_cannot_be_reached_is_stored_and_says_so(office: Office) -> None:
    answer = await office.ask("POST", "providers", status=201, json=body(office.rig, base_url="http://127.0.0.1:9/v1"))
    assert answer["check"] == answer["check"] | {"ok": False, "code": "provider_unreachable"}
    assert answer["provider"]["models"] is None
    wrong = await office.ask("POST", "providers", status=201, json=body(office.rig, name="third", secret="nonsense"))
    assert wrong["check"]["code"] == "provider_key_rejected"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Upper"},
        {"name": "a/b"},
        {"name": ""},
        {"base_url": "ftp://x"},
        {"base_url": "http://user:password@x/v1"},
        {"base_url": ""},
        {"kind": "other"},
        {"headers": {"authorization": "x"}},
        {"headers": {"Api-Key": "x"}},
        {"headers": {"cookie": "x"}},
        {"headers": {"x-a": "b\r\nx: y"}},
        {"headers": {"x a": "b"}},
        {"secret": "two\nlines"},
        {"abort_billing": "never"},
        {"position": -1},
    ],
)
async def test_what_cannot_be_a_provider_is_refused(office: Office, wrong: dict[str, Any]) -> None:
    assert await office.refused("POST", "providers", json=body(office.rig, **wrong)) == "bad_request"
    assert len((await office.ask("GET", "providers"))["providers"]) == 1


async def test_a_name_is_taken_once(office: Office) -> None:
    assert await office.refused("POST", "providers", json=body(office.rig, name="sim")) == "name_taken"


async def test_only_the_operator_says_where_a_provider_is(office: Office) -> None:
    """Else whoever holds a management key could make the server connect to the addresses of its own network."""
    for more in ({}, {"name": "openai"}, {"name": "openai", "base_url": None, "headers": {"x-a": "b"}}):
        given = {name: value for name, value in body(office.rig, **more).items() if value is not None}
        assert await office.refused("POST", "providers", by="manager", json=given) == "operator_only"
    listed = await office.ask("GET", "providers", by="manager")
    assert [one["name"] for one in listed["providers"]] == ["sim"]


async def test_breakers_are_shown_and_counted() -> None:
    async with opened(breaker_failures=2) as office:
        async with office.rig.http() as client:
            for _ in range(2):
                await client.post("/v1/chat/completions", json=chat(sim="refuse=server_error"))
            refused = await client.post("/v1/chat/completions", json=chat())
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "breaker_open")
        assert 1 <= int(refused.headers["retry-after"]) <= 5
        (shown,) = (await office.ask("GET", "providers/sim"))["breakers"]
        assert shown == shown | {"model": None, "tier": "default", "state": "open"} and 0 < shown["wait_s"] <= 5
        text = (await office.manager.get("/metrics")).text
        assert 'startline_breakers{provider="sim",state="open",tier="default"} 1.0' in text
        assert 'startline_breaker_skips_total{provider="sim",tier="default"} 1.0' in text
        assert (await office.manager.get("/readyz")).status_code == 200
