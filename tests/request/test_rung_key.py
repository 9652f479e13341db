"""Keys of breakers hold what an operator or a price list named, and no model that only a caller has."""

import msgspec
import pytest

from appliance.domain.catalog import Rung
from appliance.request.rung_key import rung_key
from appliance.store.memory import MemoryDirectory


@pytest.mark.parametrize(
    ("models", "model", "shown"),
    [(("gpt-5.4",), "gpt-5.4", "gpt-5.4"), (("gpt-5.4",), "secret words", ""), (None, "gpt-5.4", "")],
)
def test_a_model_that_the_provider_does_not_list_is_not_named(
    models: tuple[str, ...] | None, model: str, shown: str
) -> None:
    directory = MemoryDirectory().with_provider("sim", "sk", base_url="http://sim.test/v1", models=models)
    (provider,) = directory.providers("org_test")
    flex = rung_key(provider, Rung("sim", model, "flex"))
    assert flex == (provider.provider_id, "sim", shown, "flex")
    assert rung_key(provider, Rung("sim", model, None)).tier == ""
    assert rung_key(msgspec.structs.replace(provider, provider_id="prv_other"), Rung("sim", model, "flex")) != flex
