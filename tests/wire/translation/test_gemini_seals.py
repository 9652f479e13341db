import base64

import pytest

from appliance.domain.chat import Seal
from appliance.wire.translation.gemini_seals import seal_of, signature_of

FOREIGN = [Seal("anthropic", "sig"), Seal("openai", "é" * 99, "encrypted", "rs_1"), Seal("xai", "", "redacted")]


@pytest.mark.parametrize("seal", FOREIGN)
def test_a_foreign_seal_is_base64_and_comes_home(seal: Seal) -> None:
    told = signature_of(seal)
    raw = base64.b64decode(told, validate=True)
    assert seal_of(base64.urlsafe_b64encode(raw).decode()) == seal_of(told) == seal


def test_an_own_signature_is_read_into_the_usual_alphabet() -> None:
    seal = Seal("gemini", "+/8=", "part", "c")
    assert seal_of("-_8", "c") == seal_of("+/8=", "c") == seal
    assert signature_of(seal) == "+/8="


@pytest.mark.parametrize(
    "told",
    [
        "",
        "skip_thought_signature_validator",
        "context_engineering_is_the_way_to_go",
        "skip/thought/signature/validator",
    ],
)
def test_marks_for_no_signature_are_none(told: str) -> None:
    assert seal_of(told) is None


def test_a_stamp_that_was_tampered_with_is_taken_for_a_signature() -> None:
    broken = base64.b64encode(b"startline.seal.1.nonsense").decode()
    assert seal_of(broken) == Seal("gemini", broken, "part")
