"""A ladder is read from a list of texts; a model's name may have slashes and colons."""

import pytest

from appliance.domain.ladder import LONGEST_STEP, MOST_STEPS, Step, ladder_texts, parse_ladder


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("openai/gpt-5:flex", Step("openai", "gpt-5", "flex")),
        ("openai/gpt-5", Step("openai", "gpt-5")),
        ("openai/gpt-5:priority", Step("openai", "gpt-5", "priority")),
        ("ollama/llama3:8b", Step("ollama", "llama3:8b")),
        ("ollama/llama3:8b:default", Step("ollama", "llama3:8b", "default")),
        ("router/meta/llama:flex", Step("router", "meta/llama", "flex")),
    ],
)
def test_a_step_names_provider_model_and_tier(text: str, step: Step) -> None:
    assert parse_ladder([text]) == (step,)
    assert parse_ladder(ladder_texts((step,))) == (step,)


@pytest.mark.parametrize(
    "value",
    [
        None, "openai/gpt-5", [], {}, ["a/b"] * 2, [f"a/m{n}" for n in range(MOST_STEPS + 1)], [1], ["gpt-5"], ["/m"],
        ["openai/"], ["openai/:flex"], ["a/" + "m" * LONGEST_STEP],
    ],
)  # fmt: skip
def test_what_is_no_ladder_is_refused_in_a_sentence(value: object) -> None:
    with pytest.raises(ValueError, match="ladder"):
        parse_ladder(value)
