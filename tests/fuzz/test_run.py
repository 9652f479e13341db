"""A minute of fuzzing in all: each target in turn, with new cases each day; what was found before is pinned here."""

import time
from pathlib import Path

import pytest

from tests.fuzz.cases import TARGETS
from tests.fuzz.run import run
from tests.fuzz.seeds import seeds_of

SECONDS = 4.5

MESSAGE = b'data: {"type":"message_start","message":{"id":"m","usage":{}}}\n\n'
BLOCK = b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
STOP = b'data: {"type":"message_stop"}\n\n'

PINNED: dict[str, list[bytes]] = {
    "sse": [
        # An error that is not UTF-8 where it is looked at again: escaped as UnicodeDecodeError.
        b'data: {"object":"error","message":"\xed\xa0\x80"}\n\n',
        # Whether an event without data counted depended on whether a CR had been received yet.
        b"event: message_start\n\ndata: {}\r\n\r\n",
        b"event: response.output_text.delta\n\nevent: a\ndata: {}\nevent: response.completed\n\n\r\n\r\n",
    ],
    "dialects": [
        # A delta whose text is none, a block that is no object: escaped from the assembler as TypeError and ValueError.
        MESSAGE
        + BLOCK
        + b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":null}}\n\n'
        + STOP,
        MESSAGE + b'data: {"type":"content_block_start","index":0,"content_block":"text"}\n\n' + STOP,
        MESSAGE + BLOCK + BLOCK.replace(b":0,", b':"0",') + STOP,
    ],
    "values": [b"fe80::1%\xd9th0", b"10.0.0.1, fe80::1%25x"],
    "body": [
        b'{"model":"m","start_within":1' + b"0" * 400 + b"}",
        b'{"model":"m","start_within":-1' + b"0" * 400 + b"}",
        b'{"model":"m","max_completion_tokens":1' + b"0" * 5000 + b"}",
    ],
    "translation": [
        # A bracket at the beginning of a piece, in the middle of a stream: was taken for that of an array.
        b'{: comment\n\n[{"role":"user","parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":5},"tools":[]}',
        # A second of creation that no calendar has: escaped from a writer as ValueError and OverflowError.
        b'data: {"id":"g","created":17909090000001,"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
        b'data: {"id":"g","created":1790001790001790000001,"model":"m","choices":[{"delta":{"content":"a"}}]}\n\n',
    ],
    "request": [
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade,oding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chuNked\r\n\r\n0\r\ning: ch}nked\r\n\r\n0\r\n\r\n",
    ],
    "gate": [b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1844674407370950\r\n\r\n\r\n\r\nhello HTTP/1.1\r\n\r\n"],
}


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_and_what_was_found_before(target: str) -> None:
    for data in (*seeds_of(target), *PINNED.get(target, [])):
        TARGETS[target](data)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_new_cases(target: str) -> None:
    result = run([target], time.time_ns() // 86_400_000_000_000, most_cases=None, most_s=SECONDS)
    assert result.crashes == []
    assert result.cases[target] > 500


def test_the_same_seed_makes_the_same_cases_and_a_crash_keeps_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[bytes]] = [[], []]

    def fragile(data: bytes) -> None:
        seen[-1].append(data)
        assert b"\x00" not in data, "it holds a NUL"

    monkeypatch.setitem(TARGETS, "values", fragile)
    first = run(["values"], 7, most_cases=1000, most_s=None, folder=tmp_path)
    seen.append([])
    second = run(["values"], 7, most_cases=1000, most_s=None, folder=tmp_path)
    assert seen[-1] == seen[-2] and len(seen[-1]) == 1000
    assert first.crashes == second.crashes != []
    assert all("it holds a NUL" in crash.kind for crash in first.crashes)
    assert all(b"\x00" in Path(crash.file).read_bytes() for crash in first.crashes)
