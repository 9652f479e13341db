"""The corpus of hostile requests: alone, behind a good request, and however it is cut."""

from typing import Any

import pytest
from hypothesis import given

from tests.http1.drive import CUTS, byte_by_byte, cut_at, requests, whole
from tests.http1.smuggling_corpus import CORPUS

_GOOD = b"POST /good HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"


def test_corpus_is_large_and_names_are_unique() -> None:
    assert len(CORPUS) >= 60
    assert len({name for name, *_ in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize(("data", "status", "code"), [pytest.param(*case[1:], id=case[0]) for case in CORPUS])
@pytest.mark.parametrize("cut", [whole, byte_by_byte])
def test_alone(data: bytes, status: int, code: str, cut: Any) -> None:
    assert requests(cut(data)) == [("refused", status, code)]


@pytest.mark.parametrize(("data", "status", "code"), [pytest.param(*case[1:], id=case[0]) for case in CORPUS])
@pytest.mark.parametrize("cut", [whole, byte_by_byte])
def test_behind_a_good_request(data: bytes, status: int, code: str, cut: Any) -> None:
    good, refused = requests(cut(_GOOD + data))
    assert good[1] == b"/good" and good[5] == b"abc"
    assert refused == ("refused", status, code)


@given(CUTS)
def test_cut_anywhere(cuts: list[int]) -> None:
    for _, data, status, code in CORPUS:
        assert requests(cut_at(data, cuts)) == [("refused", status, code)]
