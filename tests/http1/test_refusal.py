"""Codes are stable, every one is used, and no message quotes the peer."""

import ast
from pathlib import Path

import pytest

import appliance.http1
from appliance.http1.refusal import CODES, ProtocolRefusal, TruncatedBody
from appliance.http1.request import RequestReader
from tests.http1.drive import SMALL
from tests.http1.smuggling_corpus import CORPUS


def test_every_code_is_raised_somewhere_and_every_raised_code_is_listed() -> None:
    strings = set()
    for source in Path(appliance.http1.__file__).parent.glob("*.py"):
        if source.name != "refusal.py":
            tree = ast.parse(source.read_text())
            strings |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert strings >= CODES


@pytest.mark.parametrize(("data", "status", "code"), [pytest.param(*case[1:], id=case[0]) for case in CORPUS])
def test_a_refusal_never_quotes_the_peer(data: bytes, status: int, code: str) -> None:
    reader = RequestReader(SMALL)
    reader.feed(data.replace(b"Host: a\r\n", b"Host: sesame\r\nX: sesame\r\n", 1))

    def read() -> None:
        while reader.next_head():
            reader.next_body()

    with pytest.raises(ProtocolRefusal) as refused:
        read()
    refusal = refused.value
    assert "sesame" not in str(refusal) + repr(refusal) + refusal.detail
    assert refusal.__context__ is None or refusal.__suppress_context__
    assert (refusal.status, refusal.code) == (status, code)


def test_texts() -> None:
    assert str(ProtocolRefusal(400, "bad_host", "the Host header is not a host")).startswith("bad_host: ")
    assert TruncatedBody("head").phase == "head"
