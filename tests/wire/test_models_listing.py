from typing import Any

import anthropic
import msgspec
import pytest
from google.genai import types
from openai.types import Model

from appliance.wire.models_listing import ModelRow, Page, model_body, models_body, page_of

ROWS = (ModelRow("gpt-5-mini", "openai", ("flex", "default"), True, 7), ModelRow("llama", "local"))


def test_the_list_has_the_sdks_shape_and_our_block() -> None:
    value = msgspec.json.decode(models_body(ROWS))
    assert value["object"] == "list"
    for row, got in zip(ROWS, value["data"], strict=True):
        model = Model.model_validate(got, strict=True)
        assert (model.id, model.owned_by, model.created) == (row.id, row.provider, row.created_unix_s)
        known = got["startline"]
        assert (known["provider"], known["tiers"], known["flex_race"]) == (row.provider, list(row.tiers), row.flex_race)
        assert got == msgspec.json.decode(model_body(row))
    assert msgspec.json.decode(models_body(()))["data"] == []


MANY = tuple(ModelRow(f"claude-{number}", "anthropic") for number in range(5))


def page(**asked: Any) -> Any:
    return msgspec.json.decode(models_body(MANY, "anthropic_models", Page(**asked)))


def test_anthropics_list_has_its_sdks_shape() -> None:
    value = page()
    for row, got in zip(MANY, value["data"], strict=True):
        model = anthropic.types.ModelInfo.model_validate(got)
        assert (model.id, model.display_name, model.type) == (row.id, row.id, "model")
        assert got == msgspec.json.decode(model_body(row, "anthropic_models"))
    assert (value["has_more"], value["first_id"], value["last_id"]) == (False, "claude-0", "claude-4")


@pytest.mark.parametrize(
    ("asked", "numbers", "more"),
    [
        ({"most": 2}, [0, 1], True),
        ({"most": 2, "after": "claude-1"}, [2, 3], True),
        ({"most": 2, "after": "claude-3"}, [4], False),
        ({"most": 2, "before": "claude-3"}, [1, 2], True),
        ({"most": 9, "before": "claude-2"}, [0, 1], False),
        ({"after": "nobody"}, [0, 1, 2, 3, 4], False),
        ({"after": "claude-4"}, [], False),
    ],
)
def test_it_comes_in_pages(asked: dict[str, Any], numbers: list[int], more: bool) -> None:
    value = page(**asked)
    assert [row["id"] for row in value["data"]] == [f"claude-{number}" for number in numbers]
    assert value["has_more"] is more


def test_the_page_that_a_query_asks_for() -> None:
    assert page_of(b"") == page_of(b"limit=x&a=b") == page_of(b"limit=" + b"9" * 50) == Page()
    assert page_of(b"limit=1000&after_id=a%20b") == Page(1000, "a b")
    assert page_of(b"limit=99999").most == 1000


def test_googles_list_has_its_sdks_shape_and_pages() -> None:
    value = msgspec.json.decode(models_body(MANY, "gemini_models", Page(most=2)))
    names = [types.Model.model_validate(row | {"startline": None}, extra="ignore").name for row in value["models"]]
    assert names == ["models/claude-0", "models/claude-1"]
    rest = msgspec.json.decode(models_body(MANY, "gemini_models", Page(token=value["nextPageToken"])))
    assert [row["name"] for row in rest["models"]] == ["models/claude-2", "models/claude-3", "models/claude-4"]
    assert "nextPageToken" not in rest
    assert msgspec.json.decode(model_body(MANY[0], "gemini_models")) == value["models"][0]
    assert page_of(b"pageSize=7&pageToken=x") == Page(7, token="x")


def test_what_is_known_of_a_model_stands_in_every_dialect() -> None:
    rates = {"default": {"input": 1.0, "cached": 0.1, "output": 4.0}, "flex": None}
    kinds = {"input": ["text", "image"], "output": ["text"]}
    row = ModelRow("m", "p", ("default", "flex"), True, 7, 200_000, rates, {"trains": "no"}, kinds)
    bodies = {
        family: msgspec.json.decode(model_body(row, f"{family}_models")) for family in ("openai", "anthropic", "gemini")
    }
    for body in bodies.values():
        known = body["startline"]
        assert (known["context_window"], known["usd_per_million_tokens"]) == (200_000, rates)
        assert (known["data_policy"], known["modalities"]) == ({"trains": "no"}, kinds)
    assert bodies["openai"]["context_window"] == bodies["anthropic"]["max_input_tokens"] == 200_000
    assert bodies["gemini"]["inputTokenLimit"] == 200_000
