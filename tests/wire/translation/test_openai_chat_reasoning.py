import msgspec
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.chat import Reasoning, Seal
from appliance.wire.translation.openai_chat_reasoning import details_of, read_details
from appliance.wire.translation.openai_chat_shapes import ReasoningDetail

SEALS = st.one_of(
    st.builds(Seal, st.sampled_from(["anthropic", "openai", "my-own"]), st.just("S")),
    st.builds(Seal, st.just("anthropic"), st.just("R"), st.just("redacted")),
    st.builds(Seal, st.sampled_from(["openai", "xai", "my-own"]), st.just("E"), st.just("encrypted"), st.just("rs_1")),
    st.builds(Seal, st.sampled_from(["gemini", "my-own"]), st.just("G"), st.just("part"), st.just("call_1")),
)
BLOCKS = st.lists(st.builds(Reasoning, st.sampled_from(["", "so"]), st.none() | SEALS), max_size=4)


@given(BLOCKS)
def test_blocks_come_back_with_their_seals(blocks: list[Reasoning]) -> None:
    details = [entry for index, block in enumerate(blocks) for entry in details_of(block, index)]
    assert read_details(msgspec.convert(details, list[ReasoningDetail])) == blocks


def test_entries_without_an_index_are_blocks_of_their_own() -> None:
    details = [ReasoningDetail("reasoning.text", text="a"), ReasoningDetail("reasoning.summary", summary="b")]
    assert read_details(details) == [Reasoning("a"), Reasoning("b")]


def test_a_seal_of_nobody_goes_to_nobody() -> None:
    assert read_details([ReasoningDetail("reasoning.encrypted", data="x")]) == [
        Reasoning("", Seal("unknown", "x", "encrypted"))
    ]


def test_a_signature_without_the_words_that_were_shown_is_left_out() -> None:
    signed = ReasoningDetail("reasoning.text", signature="S", format="anthropic-claude-v1", index=0)
    text = ReasoningDetail("reasoning.text", text="so", index=0)
    sealed = ReasoningDetail("reasoning.encrypted", data="E", format="google-gemini-v1", index=1)
    unshown = Reasoning("", Seal("anthropic", "S", "signature"))
    part = Reasoning("", Seal("gemini", "E", "part"))
    assert read_details([signed, sealed], "o") == [part], "a client that kept the last piece alone"
    assert read_details([signed], "") == read_details([signed]) == [unshown], "nothing was shown"
    assert read_details([text, signed], "so") == [Reasoning("so", Seal("anthropic", "S", "signature"))]
