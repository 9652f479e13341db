"""Identifiers sort by time, say what they are of, and do not repeat."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.ids import BASE62, base62, record_id, request_id

NOW_US = 1_795_000_000_000_000


@given(st.integers(0, 62**12 - 1))
def test_base62_says_the_number_in_its_width(number: int) -> None:
    text = base62(number, 12)
    assert len(text) == 12 and sum(BASE62.index(it) * 62**at for at, it in enumerate(reversed(text))) == number


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.binary(min_size=7, max_size=7), st.binary(min_size=7))
def test_a_later_request_sorts_behind(at_us: int, later_us: int, one: bytes, other: bytes) -> None:
    first, second = request_id(NOW_US + at_us, one), request_id(NOW_US + at_us + later_us, other)
    assert first < second and len(first) == len(second) == len("req_") + 26


@given(st.binary(min_size=7, max_size=7), st.binary(min_size=7, max_size=7))
def test_requests_of_one_instant_differ_by_their_random_bytes(one: bytes, other: bytes) -> None:
    same = one.hex()[:13] == other.hex()[:13]
    assert (request_id(NOW_US, one) == request_id(NOW_US, other)) == same


@given(st.binary(min_size=9, max_size=9))
def test_a_record_id_says_what_it_is_of(random: bytes) -> None:
    text = record_id("prov", random)
    assert text.startswith("prov_") and len(text) == len("prov_") + 12 and set(text[5:]) <= set(BASE62)
