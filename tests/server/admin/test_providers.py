"""Providers over the admin routes: added, checked, tested, removed; the credential never comes out."""

import socket
from typing import Any

import pytest
import trio

from appliance.net.resolver import Lookup
from appliance.upstream.transport import NO_PUBLIC_ADDRESS
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


# -- what a management key may do --------------------------------------------------------------------------------------


def names(table: dict[str, list[str]]) -> Lookup:
    """A resolver by a table of names, each time with the next of their addresses."""
    left = {name: list(addresses) for name, addresses in table.items()}

    def lookup(host: str, port: int, **_: Any) -> Any:
        addresses = left.get(host)
        if addresses is None:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        return socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)

    return lookup


@pytest.mark.parametrize(
    ("base_url", "code"),
    [
        ("http://llm.example/v1", "bad_request"),  # the credential would be seen by all on the way
        ("https://127.0.0.1/v1", "operator_only"),
        ("https://[::1]/v1", "operator_only"),
        ("https://[::ffff:127.0.0.1]/v1", "operator_only"),
        ("https://169.254.169.254/v1", "operator_only"),
        ("https://10.0.0.1:8443", "operator_only"),
        ("https://100.100.100.200/", "operator_only"),
        ("https://[fd00:ec2::254]/", "operator_only"),
        ("https://127.1/", "bad_request"),
        ("https://2130706433/", "bad_request"),
        ("https://0x7f.1/", "bad_request"),
        ("https://127.0.0.1./", "bad_request"),
    ],
)
async def test_a_management_key_sets_no_address_that_is_not_public(office: Office, base_url: str, code: str) -> None:
    given = body(office.rig, base_url=base_url)
    assert await office.refused("POST", "providers", by="manager", json=given) == code
    change = {"base_url": base_url, "secret": SECRET}
    assert await office.refused("PATCH", "providers/sim", by="manager", json=change) == code
    listed = await office.ask("GET", "providers", by="manager")
    assert [one["name"] for one in listed["providers"]] == ["sim"]


PRIVATE = {"internal.example": ["127.0.0.1"], "metadata.example": ["169.254.169.254"], "six.example": ["::1"]}


@pytest.mark.parametrize("host", [*PRIVATE, "localhost", "nowhere.invalid", "mixed.example"])
async def test_names_that_lead_inside_are_not_connected_to(host: str) -> None:
    """A name that is not there and one that leads inside are told alike: nobody learns which names there are."""
    async with opened(lookup=names(PRIVATE | {"localhost": ["127.0.0.1"], "mixed.example": ["10.0.0.1"]})) as office:
        port = office.rig.simulator.base_url.rpartition(":")[2].partition("/")[0]
        given = body(office.rig, base_url=f"https://{host}:{port}/v1", models=["m"])
        answer = await office.ask("POST", "providers", by="manager", status=201, json=given)
        assert answer["provider"]["public_only"] is True
        assert answer["check"] == {"ok": False, "code": "provider_unreachable", "message": NO_PUBLIC_ADDRESS}
        async with office.rig.http() as client:
            refused = await client.post("/v1/chat/completions", json=chat(model="second/m"))
        assert (refused.status_code, refused.json()["error"]["message"]) == (502, NO_PUBLIC_ADDRESS)
        assert len(office.rig.journal) == 0
        told = await office.refused("PATCH", "providers/second", by="manager", json={"public_only": False})
        assert told == "operator_only"
        await office.ask("PATCH", "providers/second", json={"public_only": False})
        after = (await office.ask("POST", "providers/second/test"))["check"]
        assert after["message"] != NO_PUBLIC_ADDRESS or "nowhere" in host


async def test_a_name_that_turns_inside_later_is_not_connected_to() -> None:
    """Rebinding: public when it was added, private at the call; the address that is connected to is what counts."""
    rebinding = names({"turns.example": ["192.0.2.1", "127.0.0.1"]})
    async with opened(lookup=rebinding, dns_cache_s=0.0, connect_timeout_s=0.2) as office:
        port = office.rig.simulator.base_url.rpartition(":")[2].partition("/")[0]
        given = body(office.rig, base_url=f"https://turns.example:{port}/v1", models=["m"])
        await office.ask("POST", "providers", by="manager", status=201, json=given)
        async with office.rig.http() as client:
            for _ in range(3):
                refused = await client.post("/v1/chat/completions", json=chat(model="second/m"))
                assert refused.json()["error"]["message"] == NO_PUBLIC_ADDRESS
        assert len(office.rig.journal) == 0


async def test_an_idle_connection_of_the_operators_provider_is_not_lent_to_another() -> None:
    """Both are at the same place; only the operator's may be there, and its connection stands open."""
    async with opened(lookup=names({"inside.example": ["127.0.0.1"]})) as office:
        port = office.rig.simulator.base_url.rpartition(":")[2].partition("/")[0]
        place = f"http://inside.example:{port}/v1"
        own = body(office.rig, name="own", base_url=place, models=["m"])
        await office.ask("POST", "providers", status=201, json=own)
        assert office.rig.appliance.pool.idle_count() == 1
        other = body(office.rig, name="other", base_url=place, models=["m"], public_only=True)
        answer = await office.ask("POST", "providers", status=201, json=other)
        assert answer["check"]["message"] == NO_PUBLIC_ADDRESS


async def test_a_provider_of_a_management_key_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an address that counts as public for this test; what is then asked of it is TLS and a good name."""
    lookup = names({"llm.example": ["127.0.0.2"]})
    async with opened(lookup=lookup) as office:
        monkeypatch.setattr(office.rig.appliance.dialer, "_allowed", lambda address: address == "127.0.0.2")
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.2")
            seen = trio.Event()

            async def hello(stream: trio.SocketStream) -> None:
                if (await stream.receive_some())[:1] == b"\x16":  # the first byte of a TLS handshake
                    seen.set()
                await stream.aclose()

            nursery.start_soon(trio.serve_listeners, hello, listeners)
            port = listeners[0].socket.getsockname()[1]
            given = body(office.rig, base_url=f"https://llm.example:{port}/v1")
            answer = await office.ask("POST", "providers", by="manager", status=201, json=given)
            assert answer["check"]["code"] == "provider_unreachable"
            await seen.wait()
            nursery.cancel_scope.cancel()


async def test_a_management_key_sets_headers_only_where_they_can_do_no_harm(office: Office) -> None:
    """A header can be all that an internal service asks for."""
    change = {"headers": {"metadata-flavor": "Google"}}
    assert await office.refused("PATCH", "providers/sim", by="manager", json=change) == "operator_only"
    given = body(office.rig, name="openai", base_url="https://llm.example.invalid/v1", **change)
    answer = await office.ask("POST", "providers", by="manager", status=201, json=given)
    assert (answer["provider"]["headers"], answer["provider"]["public_only"]) == (["metadata-flavor"], True)
    await office.ask("PATCH", "providers/openai", by="manager", json={"headers": {}})
    known = {"name": "anthropic", "models": ["m"], **change}
    answer = await office.ask("POST", "providers", by="manager", status=201, json=known)
    assert answer["provider"]["public_only"] is True, "where a profile says, too: it may be the operator's own"


async def test_a_stored_key_does_not_follow_a_base_url_to_another_place(office: Office) -> None:
    """Else whoever holds a management key could have the operator's credential sent to a server of its own."""
    change = {"base_url": "https://collector.example/v1"}
    assert await office.refused("PATCH", "providers/sim", by="manager", json=change) == "bad_request"
    moved = await office.ask("PATCH", "providers/sim", by="manager", json=change | {"secret": "sk-my-own"})
    assert (moved["base_url"], moved["public_only"]) == ("https://collector.example/v1", True)
    directory = office.rig.appliance.store.directory
    (provider,) = directory.providers(office.rig.key.organisation_id)
    assert directory.secret(provider) == "sk-my-own"


async def test_only_the_operator_sets_a_proxy_and_only_where_any_address_is_allowed(office: Office) -> None:
    """A proxy in the operator's network would connect to its own network for whoever holds a management key."""
    proxy = {"proxy": "http://proxy.invalid:3128"}
    own = body(office.rig, base_url="https://llm.example.invalid/v1")
    assert await office.refused("POST", "providers", by="manager", json=own | proxy) == "operator_only"
    assert await office.refused("POST", "providers", json=own | proxy | {"public_only": True}) == "bad_request"
    assert await office.refused("POST", "providers", json=own | {"proxy": "socks5://a:1"}) == "bad_request"
    assert await office.refused("PATCH", "providers/sim", by="manager", json=proxy) == "operator_only"
    assert (await office.ask("PATCH", "providers/sim", json=proxy))["proxy"] == proxy["proxy"]
    moved = {"base_url": "https://collector.example/v1", "secret": "x"}
    for change in (moved, {"public_only": True}, {"proxy": ""}):
        assert await office.refused("PATCH", "providers/sim", by="manager", json=change) == "operator_only"
    assert await office.refused("PATCH", "providers/sim", json={"public_only": True}) == "bad_request"
    assert (await office.ask("POST", "providers/sim/test"))["check"]["code"] == "provider_unreachable"
    assert (await office.ask("PATCH", "providers/sim", json={"proxy": ""}))["proxy"] == ""
    assert (await office.ask("POST", "providers/sim/test"))["check"]["ok"]


# -- changes -----------------------------------------------------------------------------------------------------------


async def test_what_is_named_is_changed_and_the_rest_stays(office: Office) -> None:
    before = await office.ask("GET", "providers/sim")
    change = {"tiers": ["default"], "headers": {"x-team": "blue"}, "models": ["a"], "stream_options": False}
    after = await office.ask("PATCH", "providers/sim", json=change)
    assert after == before | {**change, "headers": ["x-team"], "model_source": "operator"}
    assert (await office.ask("PATCH", "providers/sim", json={"any_model": True}))["models"] is None
    assert (await office.ask("POST", "providers/sim/test"))["provider"]["model_source"] == "any"
    assert await office.refused("PATCH", "providers/nobody", json={}) == "record_not_found"
    for wrong in (
        {"base_url": "ftp://x"},
        {"headers": {"cookie": "x"}},
        {"secret": ""},
        {"name": "x"},
        {"position": 0},
    ):
        assert await office.refused("PATCH", "providers/sim", json=wrong) == "bad_request"


async def test_a_new_key_holds_for_the_next_request(office: Office) -> None:
    async with office.rig.http() as client:
        await office.ask("PATCH", "providers/sim", json={"secret": "nonsense"})
        refused = await client.post("/v1/chat/completions", json=chat())
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "provider_key_rejected")
        await office.ask("PATCH", "providers/sim", by="manager", json={"secret": SECRET})
        assert (await client.post("/v1/chat/completions", json=chat())).status_code == 200


async def test_a_provider_that_could_not_be_asked_at_first_is_asked_by_the_test(office: Office) -> None:
    office.rig.simulator.world.models["listed"] = office.rig.simulator.world.models["*"]
    nowhere = body(office.rig, base_url="http://127.0.0.1:9/v1")
    assert (await office.ask("POST", "providers", status=201, json=nowhere))["provider"]["models"] is None
    await office.ask("PATCH", "providers/second", json={"base_url": office.rig.simulator.base_url})
    assert (await office.ask("POST", "providers/second/test"))["provider"]["models"] == ["listed"]


async def test_a_list_given_by_hand_is_not_replaced(office: Office) -> None:
    office.rig.simulator.world.models["listed"] = office.rig.simulator.world.models["*"]
    await office.ask("POST", "providers", status=201, json=body(office.rig, models=["mine"]))
    assert (await office.ask("POST", "providers/second/test"))["provider"]["models"] == ["mine"]
    assert (await office.ask("PATCH", "providers/second", json={"models": None}))["models"] is None
    assert (await office.ask("POST", "providers/second/test"))["provider"]["models"] == ["listed"]


async def test_the_operator_names_the_organisation(office: Office) -> None:
    store = office.rig.appliance.store
    other = await store.organisations.create("other", now_unix_s=1 << 33)
    await office.ask("POST", "providers", status=201, json=body(office.rig, organisation="other"))
    query = {"organisation": "other"}
    assert [one["name"] for one in (await office.ask("GET", "providers", params=query))["providers"]] == ["second"]
    assert len((await office.ask("GET", "providers"))["providers"]) == 2
    assert await office.refused("GET", "providers/second") == "record_not_found"
    assert (await office.ask("POST", "providers/second/test", params=query))["check"]["ok"]
    assert await office.refused("GET", "providers", by="manager", params=query) == "record_not_found"
    assert (await office.ask("DELETE", "providers/second", params=query)) == {"removed": "second"}
    assert store.directory.providers(other.organisation_id) == ()


async def test_what_is_kept_of_a_removed_provider_is_forgotten(office: Office) -> None:
    planner = office.rig.appliance.gateway.planner
    await office.ask("POST", "providers", status=201, json=body(office.rig, models=["m"]))
    async with office.rig.http() as client:
        await client.post("/v1/chat/completions", json=chat(model="second/m"))
        assert len(planner._targets) == 1
        await office.ask("DELETE", "providers/second")
        await client.post("/v1/chat/completions", json=chat())
    assert [target.provider.name for _, target in planner._targets.values()] == ["sim"]


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
        await office.ask("PATCH", "providers/sim", json={"price_as": "openai"})
        async with office.rig.http() as client:
            served = await client.post("/v1/chat/completions", json=chat())
        assert served.status_code == 200, "a provider that was changed is asked at once"


async def test_a_profile_gives_what_was_left_out(office: Office) -> None:
    names = {one["name"] for one in (await office.ask("GET", "profiles"))["profiles"]}
    assert {"groq", "azure", "ollama"} <= names
    answer = await office.ask("POST", "providers", status=201, json=body(office.rig, name="groq"))
    groq = answer["provider"]
    assert (groq["profile"], groq["tiers"], groq["price_as"]) == ("groq", ["flex", "on_demand", "auto"], "groq")
    assert (groq["abort_billing"], groq["policy"]["trains"]) == ("full", "no")
    own = body(office.rig, name="mine", profile="zai", abort_billing="free", auth="api-key")
    mine = (await office.ask("POST", "providers", status=201, json=own))["provider"]
    assert (mine["profile"], mine["abort_billing"], mine["auth"]) == ("zai", "free", "api-key")
    assert mine["dialects"] == [["openai_chat", ""], ["openai_embeddings", ""]], (
        "not what is at the profile's own place"
    )


async def test_what_a_profile_cannot_know_must_be_said(office: Office) -> None:
    assert await office.refused("POST", "providers", json={"name": "azure", "secret": SECRET}) == "bad_request"
    assert await office.refused("POST", "providers", json=body(office.rig, profile="nobody")) == "bad_request"
    for auth in ("two words", "host"):
        assert await office.refused("POST", "providers", json=body(office.rig, auth=auth)) == "bad_request"


async def test_who_moves_takes_no_dialect_along_that_is_spoken_elsewhere() -> None:
    def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror

    async with opened(lookup=nowhere) as office:
        elsewhere = body(office.rig, name="zai", base_url="https://api.z.ai/api/paas/v4", models=["glm"])
        made = (await office.ask("POST", "providers", status=201, json=elsewhere))["provider"]
        assert ["anthropic_messages", "https://api.z.ai/api/anthropic/v1"] in made["dialects"]
        moved = await office.ask("PATCH", "providers/zai", json={"base_url": office.rig.simulator.base_url})
        assert [url for _, url in moved["dialects"]] == ["", ""]
