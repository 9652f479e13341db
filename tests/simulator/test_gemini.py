"""Google as a provider: keys, tiers, errors, the list of models."""

from typing import Any

import msgspec
import pytest
import trio
from google import genai
from google.genai import errors, types

from appliance.simulator.builtin_worlds import built_in
from appliance.simulator.faults import FAULTS as NAMES
from appliance.simulator.faults import Rejected
from appliance.simulator.gemini import FAULTS, error, models, tier
from tests.simulator.running import Start

BODY: dict[str, Any] = {"contents": [{"parts": [{"text": "x"}]}]}


def test_every_refusal_has_a_form_here() -> None:
    assert FAULTS.keys() == NAMES.keys()


@pytest.mark.parametrize("name", FAULTS)
def test_errors_are_google_rpc_s(name: str) -> None:
    body = error(FAULTS[name], "", "", 1.0)
    if FAULTS[name].html:
        assert body.startswith(b"<html>")
        return
    told = msgspec.json.decode(body)["error"]
    assert told["code"] == FAULTS[name].status
    assert told["status"].isupper()
    assert told["message"]


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?key=sk-sim-x", {}, 200),
        ("", {"x-goog-api-key": "sk-sim-x"}, 200),
        ("", {"authorization": "Bearer sk-sim-x"}, 200),
        ("?key=other", {}, 400),
        ("", {}, 403),
        ("", {"authorization": "Bearer other"}, 401),
    ],
)
async def test_keys(start: Start, query: str, headers: dict[str, str], status: int) -> None:
    running = await start()
    root = running.simulator.base_url.removesuffix("/v1")
    url = f"{root}/v1beta/models/m:generateContent{query}"
    answer = await running.client.post(url, json=BODY, headers={"authorization": ""} | headers)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["error"]["code"] == status
    assert "sk-sim-x" not in str(running.journal.to_builtins())


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ({}, "default"),
        ({"serviceTier": "standard"}, "default"),
        ({"service_tier": "flex"}, "flex"),
        ({"serviceTier": "PRIORITY"}, "priority"),
        ({"serviceTier": "SERVICE_TIER_FLEX"}, "flex"),
    ],
)
def test_tiers(asked: dict[str, str], meant: str) -> None:
    assert tier(asked, frozenset())[0] == meant


def test_tiers_of_others_are_refused() -> None:
    with pytest.raises(Rejected):
        tier({"serviceTier": "auto"}, frozenset())


async def test_a_downgrade_is_told_in_the_header(start: Start) -> None:
    running = await start()
    root = running.simulator.base_url.removesuffix("/v1")
    answer = await running.client.post(
        f"{root}/v1beta/models/m@sim:downgrade:generateContent", json=BODY | {"serviceTier": "priority"}
    )
    assert answer.headers["x-gemini-service-tier"] == "standard"


async def test_models_through_the_sdk_s_pages(start: Start) -> None:
    running = await start(built_in("demo"))

    def run() -> tuple[list[str | None], types.Model]:
        base_url = running.simulator.base_url.removesuffix("/v1")
        with genai.Client(api_key="sk-sim-x", http_options=types.HttpOptions(base_url=base_url)) as client:
            listed = [model.name for model in client.models.list(config={"page_size": 3})]
            with pytest.raises(errors.ClientError):
                client.models.get(model="gpt-5.4")
            return listed, client.models.get(model="gemini-4-argon")

    listed, one = await trio.to_thread.run_sync(run)
    assert listed == [f"models/{name}" for name in built_in("demo").names("gemini")]
    assert one.input_token_limit == 1_048_576


def test_bad_pages_are_refused() -> None:
    with pytest.raises(Rejected):
        models([], {"pageToken": "x"})
