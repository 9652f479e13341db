from appliance.wire.translation.codecs import CODECS
from tests.bench.translation import answer, costs, translate, written


def test_every_pair_is_measured_and_none_is_near_the_budget() -> None:
    measured = costs(600)
    assert len(measured) == len(CODECS) * (len(CODECS) - 1)
    # The budget is 145 µs, twelve times what a relayed event costs nginx; what is measured is below 10.
    assert max(measured.values()) < 145


def test_what_is_measured_is_a_whole_stream() -> None:
    for name, codec in CODECS.items():
        stream = written(codec, answer(30))
        whole_calls = 10 if name == "gemini_generate" else 0  # it tells a call in one piece
        assert len(stream) >= 30 - whole_calls
        translate(codec, codec, stream)
