"""Models, tiers and prices over the admin route."""

from tests.server.admin.office import Office


async def test_models_have_tiers_and_prices_and_an_unknown_price_is_null(office: Office) -> None:
    store = office.rig.appliance.store
    [provider] = store.providers.list()
    await store.providers.set_models(provider, ("gpt-5.4-nano", "gpt-4.1", "of-nobody"))
    for by in ("operator", "manager"):
        answer = await office.ask("GET", "models", by=by)
        assert answer["any"] == []
        nano, old, unknown = answer["models"]
        assert (nano["id"], nano["provider"], nano["flex_race"]) == ("gpt-5.4-nano", "sim", True)
        flex, default = nano["prices"]["flex"], nano["prices"]["default"]
        assert 0 < flex["output"] < default["output"] < 100, "dollars per million tokens"
        assert old["flex_race"] is False and old["prices"]["flex"] is None and old["prices"]["default"]["input"] > 0
        assert unknown["prices"] == {"flex": None, "default": None, "priority": None}


async def test_a_provider_of_unknown_models_is_named(office: Office) -> None:
    assert await office.ask("GET", "models") == {"models": [], "any": ["sim"]}
