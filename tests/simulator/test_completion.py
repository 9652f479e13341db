"""The answer behind both forms: what its ids and words depend on."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from appliance.simulator import chat
from appliance.simulator.completion import Completion, complete, digest, logprob, texts, tokenize
from appliance.simulator.override import Override
from appliance.simulator.world import MAX_OUTPUT_TOKENS, Behaviour

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def answer(seed: int = 1, tier: str = "default", override: Override | None = None, **fields: Any) -> Completion:
    asked = chat.read(BODY | fields)
    return complete(asked, Behaviour(), override or Override(), seed=seed, tier=tier, ordinal=0)


def test_the_stream_fields_and_the_override_change_nothing() -> None:
    streamed = answer(stream=True, stream_options={"include_usage": True}, metadata={"simulator": "start=1"})
    assert streamed == answer()


def test_another_tier_changes_the_ids_and_not_the_words() -> None:
    flex, default = answer(tier="flex", service_tier="flex"), answer()
    assert flex.id != default.id
    assert [choice.text for choice in flex.choices] == [choice.text for choice in default.choices]


def test_seed_and_request_change_the_words() -> None:
    words = {answer().choices[0].text, answer(seed=2).choices[0].text, answer(temperature=1).choices[0].text}
    assert len(words) == 3


def test_the_length_of_all_choices_together_is_bounded() -> None:
    asked = chat.read(BODY | {"n": 8})
    completion = complete(asked, Behaviour(output_tokens=1e9), Override(), seed=1, tier="default", ordinal=0)
    assert completion.output_tokens == MAX_OUTPUT_TOKENS


def test_an_id_can_be_given() -> None:
    assert answer(override=Override(id="mine")).id == "mine"


def test_metadata_of_the_caller_counts() -> None:
    assert digest(0, BODY | {"metadata": {"a": "b"}}) != digest(0, BODY)
    assert digest(0, BODY | {"metadata": {"a": "b", "simulator": "x"}}) == digest(0, BODY | {"metadata": {"a": "b"}})


@given(st.text())
def test_tokens_add_up_to_the_text(text: str) -> None:
    assert "".join(tokenize(text)) == text


def test_texts_are_found_in_order_at_any_depth() -> None:
    deep: Any = "end"
    for _ in range(5000):
        deep = [deep]
    assert texts({"a": "1", "b": [{"c": "2"}, "3", 4, None], "d": deep}) == ("1", "2", "3", "end")


def test_input_tokens_grow_with_the_prompt() -> None:
    long = answer(messages=[{"role": "user", "content": "x" * 4000}])
    assert long.input_tokens >= 1000 > answer().input_tokens


def test_log_probabilities_are_below_zero() -> None:
    assert all(logprob(token) < 0 for token in ("", "a", "東京"))
