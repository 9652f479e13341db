"""Anthropic as a provider: keys, headers, errors, the list of models."""

from typing import Any

import anthropic
import msgspec
import pytest
import trio
from anthropic.types import ErrorResponse, ModelInfo

from appliance.simulator.anthropic import FAULTS, error, limits, models, tier
from appliance.simulator.builtin_worlds import built_in
from appliance.simulator.faults import FAULTS as NAMES
from appliance.simulator.faults import Rejected
from tests.simulator.running import Start
from tests.simulator.sdk_shapes import extras

VERSION = {"anthropic-version": "2023-06-01", "authorization": ""}
BODY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}


def test_every_refusal_has_a_form_here() -> None:
    assert FAULTS.keys() == NAMES.keys()


@pytest.mark.parametrize("name", FAULTS)
def test_errors_have_the_sdk_s_shape(name: str) -> None:
    body = error(FAULTS[name], "", "req_1", 1.0)
    if FAULTS[name].html:
        assert body.startswith(b"<html>")
        return
    parsed = msgspec.json.decode(body)
    assert (parsed["type"], parsed["request_id"]) == ("error", "req_1")
    if name != "too_large":  # documented, and not in the SDK's union
        assert not extras(ErrorResponse.model_validate_json(body, strict=True))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-api-key": "sk-sim-x"}, 200),
        ({"authorization": "Bearer sk-sim-x"}, 200),
        ({"x-api-key": "sk-other"}, 401),
        ({}, 401),
        ({"x-api-key": "sk-sim-x", "authorization": "Bearer sk-sim-x"}, 401),
        ({"x-api-key": "sk-sim-x", "anthropic-version": ""}, 400),
    ],
)
async def test_keys_and_version(start: Start, headers: dict[str, str], status: int) -> None:
    running = await start()
    answer = await running.client.post("messages", json=BODY, headers=VERSION | headers)
    assert answer.status_code == status
    assert answer.headers["request-id"]
    if status != 200:
        assert answer.json()["type"] == "error"
        assert answer.json()["request_id"] == answer.headers["request-id"]


async def test_models_through_the_sdk_s_pages(start: Start) -> None:
    running = await start(built_in("demo"))

    def run() -> tuple[list[ModelInfo], ModelInfo]:
        base_url = running.simulator.base_url.removesuffix("/v1")
        with anthropic.Anthropic(base_url=base_url, api_key="sk-sim-x", max_retries=0) as client:
            with pytest.raises(anthropic.NotFoundError):
                client.models.retrieve("gpt-5.4")
            return list(client.models.list(limit=2)), client.models.retrieve("claude-sonnet-5-5")

    listed, one = await trio.to_thread.run_sync(run)
    assert [model.id for model in listed] == built_in("demo").names("anthropic")
    assert len(running.journal) == 4  # a model that is not there, two pages, one model
    assert one.id == "claude-sonnet-5-5"
    assert not extras(one)


def test_pages_backwards_and_bad_limits() -> None:
    names = ["a", "b", "c", "d"]
    assert [one["id"] for one in models(names, {"limit": "2", "before_id": "d"})["data"]] == ["b", "c"]
    for limit in ("0", "1001", "x"):
        with pytest.raises(Rejected):
            models(names, {"limit": limit})


def test_only_anthropic_s_own_tiers() -> None:
    with pytest.raises(Rejected):
        tier({"service_tier": "flex"}, frozenset())


def test_limits_are_told_and_a_spent_one_says_when_to_come_back() -> None:
    told = dict(limits(2.5))
    assert (told["retry-after"], told["anthropic-ratelimit-requests-remaining"]) == ("2.5", "0")
    assert "retry-after" not in dict(limits())
