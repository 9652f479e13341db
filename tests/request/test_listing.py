"""Model lists: what is listed can be called, by exactly the id listed."""

from typing import Any

import msgspec
import pytest

from appliance.domain.errors import CallerFault
from appliance.policy.access import Access
from appliance.policy.health import Rules
from appliance.request.breakers import Breakers
from appliance.request.listing import Listing
from appliance.request.plan import Planner
from appliance.request.slots import Slots
from appliance.settings import Settings
from appliance.store.memory import MemoryDirectory
from tests.request.stage import prices


def listed(model: str = "", **key: Any) -> Any:
    directory = (
        MemoryDirectory()
        .with_key(**key)
        .with_provider("openai", models=("gpt-5.4", "gpt-5.5"))
        .with_provider("local", tiers=(), models=("llama", "gpt-5.4"))
    )
    listing = Listing(Planner(directory, prices(), Slots(), Breakers(Rules()), Settings()), prices())
    asking = directory.keys()[0]
    return msgspec.json.decode(listing.body("openai_models", asking, Access(asking), model))


def test_each_id_is_listed_once_at_the_provider_that_it_reaches() -> None:
    assert [row["id"] for row in listed()["data"]] == ["gpt-5.4", "gpt-5.5", "llama"]


def test_a_key_sees_what_it_may_call() -> None:
    assert [row["id"] for row in listed(models=["llama"])["data"]] == ["llama"]
    assert listed("llama", models=["llama"])["id"] == "llama"
    with pytest.raises(CallerFault, match="model_not_found"):
        listed("gpt-5.4", models=["llama"])


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(CallerFault, match="model_not_found"):
        listed("nobody")
