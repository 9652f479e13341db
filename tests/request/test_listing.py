"""Model lists: what is listed can be called, by exactly the id listed."""

from typing import Any

import msgspec
import pytest

from appliance.domain.errors import CallerFault
from appliance.domain.identity import Organisation
from appliance.domain.profile import Policy, Profile
from appliance.policy.access import Access
from appliance.policy.health import Rules
from appliance.request.breakers import Breakers
from appliance.request.engine import Engine
from appliance.request.listing import Listing
from appliance.request.plan import Planner
from appliance.request.slots import Slots
from appliance.settings import Settings
from appliance.store.memory import MemoryDirectory
from tests.request.stage import prices


def listed(
    model: str = "",
    aliases: dict[str, str] | None = None,
    own: dict[str, str] | None = None,
    presets: dict[str, dict[str, Any]] | None = None,
    **key: Any,
) -> Any:
    directory = (
        MemoryDirectory(Organisation("org_test", "test", aliases=own or {}))
        .with_key(**key)
        .with_provider("openai", price_as="openai", models=("gpt-5.4", "gpt-5.5"))
        .with_provider("local", tiers=(), models=("llama", "gpt-5.4"), profile="groq")
    )
    for name, facts in (presets or {}).items():
        directory.with_preset(name, **facts)
    profiles = {"groq": Profile("Groq", "https://a.test", policy=Policy("no", "no", "yes", "D"))}
    settings = Settings(model_aliases=aliases or {})
    listing = Listing(
        Planner(directory, prices(), Slots(), Breakers(Rules()), Engine(prices(), settings), settings),
        prices(),
        profiles,
    )
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


def test_each_model_says_what_is_known_of_it() -> None:
    rows = {row["id"]: row["startline"] for row in listed()["data"]}
    assert rows["gpt-5.4"]["context_window"] > 100_000
    assert rows["gpt-5.4"]["usd_per_million_tokens"]["default"] == {"input": 2.5, "cached": 0.25, "output": 15.0}
    assert rows["gpt-5.4"]["data_policy"]["trains"] == "unknown"
    assert rows["llama"]["usd_per_million_tokens"] == {"default": None}
    assert rows["llama"]["data_policy"] == {"trains": "no", "retains": "no", "zdr": "yes"}


def test_an_alias_is_a_model_if_somebody_serves_it() -> None:
    aliases = {"small": "llama", "mine": "local/llama", "lost": "nobody-has-it"}
    ids = [row["id"] for row in listed(aliases=aliases)["data"]]
    assert ids == ["gpt-5.4", "gpt-5.5", "llama", "small", "mine"]
    one = listed("small", aliases=aliases)
    assert (one["id"], one["owned_by"]) == ("small", "local")
    assert [row["id"] for row in listed(aliases=aliases, models=["small"])["data"]] == ["small"]


def test_an_organisations_own_alias_goes_before_all_others_and_hides_what_it_is_called_like() -> None:
    rows = listed(aliases={"small": "gpt-5.5"}, own={"small": "llama", "gpt-5.4": "llama"})["data"]
    assert [(row["id"], row["owned_by"]) for row in rows] == [
        ("gpt-5.5", "openai"),
        ("llama", "local"),
        ("small", "local"),
        ("gpt-5.4", "local"),
    ]


PRESETS: dict[str, dict[str, Any]] = {
    "day": {"model": "gpt-5.4"},
    "night": {"ladder": ("openai/gpt-5.4:flex", "local/llama"), "start_within": "5m"},
    "soon": {"start_within": "5s"},
    "lost": {"ladder": ("nobody/m",)},
    "odd": {"model": "nobody-has-it"},
}


def test_a_preset_is_a_model_if_it_can_be_called_by_its_name() -> None:
    rows = {row["id"]: row for row in listed(presets=PRESETS)["data"]}
    assert list(rows)[-2:] == ["@preset/day", "@preset/night"]
    assert (rows["@preset/day"]["owned_by"], rows["@preset/night"]["owned_by"]) == ("openai", "local")
    assert rows["@preset/night"]["startline"]["flex_race"] is True
    assert listed("@preset/night", presets=PRESETS)["id"] == "@preset/night"
    for name in ("@preset/soon", "@preset/lost", "@preset/none"):
        with pytest.raises(CallerFault, match="model_not_found"):
            listed(name, presets=PRESETS)


@pytest.mark.parametrize(
    ("models", "seen"),
    [
        (["@preset/night"], ["@preset/night"]),
        (["gpt-5.4"], ["gpt-5.4", "@preset/day"]),
        (["openai/gpt-5.4", "llama"], ["llama", "@preset/night"]),
    ],
)
def test_a_key_sees_the_presets_that_it_may_call(models: list[str], seen: list[str]) -> None:
    assert [row["id"] for row in listed(presets=PRESETS, models=models)["data"]] == seen
    with pytest.raises(CallerFault, match="model_not_found"):
        listed("@preset/night" if "@preset/night" not in seen else "@preset/day", presets=PRESETS, models=models)
