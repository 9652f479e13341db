import msgspec
from openai.types import Model

from appliance.wire.models_listing import ModelRow, model_body, models_body

ROWS = (ModelRow("gpt-5-mini", "openai", ("flex", "default"), True, 7), ModelRow("llama", "local"))


def test_the_list_has_the_sdks_shape_and_our_block() -> None:
    value = msgspec.json.decode(models_body(ROWS))
    assert value["object"] == "list"
    for row, got in zip(ROWS, value["data"], strict=True):
        model = Model.model_validate(got, strict=True)
        assert (model.id, model.owned_by, model.created) == (row.id, row.provider, row.created_unix_s)
        assert got["startline"] == {"provider": row.provider, "tiers": list(row.tiers), "flex_race": row.flex_race}
        assert got == msgspec.json.decode(model_body(row))
    assert msgspec.json.decode(models_body(()))["data"] == []
