import re

import msgspec
import pytest

from appliance.domain.chat import Conversation
from appliance.wire.translation.drops import ALL, DROPS, Inexpressible, Losses
from tests.shape.sources import ROOT

ROW = re.compile(r"\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")


def test_the_documented_table_is_the_table() -> None:
    text = (ROOT / "appliance/docs/translation.md").read_text()
    table = text[text.index("| field | to |") :].split("\n\n")[0]
    documented = [ROW.fullmatch(line).groups() for line in table.splitlines()[2:]]  # type: ignore[union-attr]
    assert documented == [
        (
            row.field,
            "all others" if row.targets == ALL else ", ".join(f"`{target}`" for target in row.targets),
            row.how,
            row.why,
        )
        for row in DROPS
    ]


def test_no_row_stands_twice() -> None:
    keys = [(row.field, target) for row in DROPS for target in row.targets]
    assert len(keys) == len(set(keys))


def test_what_the_table_names_is_dropped_and_told_once() -> None:
    losses = Losses("anthropic_messages")
    losses.drop("seed")
    losses.drop("n=1")
    losses.drop("seed")
    assert losses.fields == ("seed", "n=1")


def test_what_it_does_not_name_is_refused_with_the_place() -> None:
    losses = Losses("anthropic_messages")
    with pytest.raises(Inexpressible) as raised:
        losses.drop("logprobs")
    assert (raised.value.status, raised.value.code, raised.value.param) == (400, "inexpressible", "logprobs")
    with pytest.raises(Inexpressible) as raised:
        losses.drop("file", "messages[3]", "must be sent whole")
    assert raised.value.message == "messages[3]: must be sent whole"


def test_extras_go_by_the_table_too_and_null_says_nothing() -> None:
    conversation = Conversation(
        dialect="openai_chat", model="m", turns=(), extras={"prediction": msgspec.Raw(b"{}"), "x": msgspec.Raw(b"null")}
    )
    losses = Losses("anthropic_messages")
    losses.look_over(conversation)
    assert losses.fields == ("openai_chat.prediction",)
    unknown = msgspec.structs.replace(conversation, extras={"logit_bias": msgspec.Raw(b'{"1":2}')})
    with pytest.raises(Inexpressible) as raised:
        losses.look_over(unknown)
    assert raised.value.param == "logit_bias"
