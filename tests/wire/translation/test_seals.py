from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.chat import Seal
from appliance.wire.translation.seals import PREFIX, stamp, unstamp

SEALS = st.builds(
    Seal,
    st.sampled_from(["openai", "gemini", "xai"]),
    st.text(max_size=20),
    st.sampled_from(["signature", "redacted", "encrypted", "part"]),
    st.none() | st.text(max_size=5),
)


@given(SEALS)
def test_a_foreign_seal_comes_home_unchanged(seal: Seal) -> None:
    text = stamp(seal, "anthropic", ("signature",))
    assert text.startswith(PREFIX) and text.isascii()
    assert unstamp(text) == seal


def test_a_seal_of_the_dialects_own_provider_is_as_it_was() -> None:
    assert stamp(Seal("anthropic", "EqQB=="), "anthropic", ("signature",)) == "EqQB=="
    assert unstamp("EqQB==") is None


def test_a_kind_that_the_field_does_not_hold_is_stamped_too() -> None:
    assert stamp(Seal("anthropic", "x", "redacted"), "anthropic", ("signature",)).startswith(PREFIX)


def test_a_stamp_that_was_tampered_with_is_no_seal() -> None:
    text = stamp(Seal("openai", "secret", "encrypted"), "anthropic", ("signature",))
    for bad in (text[:-3], PREFIX, PREFIX + "!!!", PREFIX + "é", text[:30] + "AAAA" + text[34:]):
        assert unstamp(bad) is None
