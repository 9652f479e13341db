"""How a preset is named where a model is named."""

import pytest

from appliance.domain.preset import NAME, split_preset


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("gpt-5", ("gpt-5", None)),
        ("@preset/night", ("", "night")),
        ("openai/gpt-5@preset/night", ("openai/gpt-5", "night")),
        ("@preset/", ("", "")),
        ("gpt@2024", ("gpt@2024", None)),
    ],
)
def test_a_model_may_name_a_preset(model: str, parts: tuple[str, str | None]) -> None:
    assert split_preset(model) == parts


@pytest.mark.parametrize(
    ("name", "good"),
    [("night", True), ("a.b-2_c", True), ("", False), ("A", False), ("-a", False), ("a/b", False), ("a" * 65, False)],
)
def test_a_name_fits_into_a_path(name: str, good: bool) -> None:
    assert bool(NAME.fullmatch(name)) is good
