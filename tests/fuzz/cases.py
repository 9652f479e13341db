"""Makes cases: seeds, cut, joined, repeated and strewn with words. The rule: the same seed makes the same cases."""

import random
from collections.abc import Callable, Iterator

from tests.fuzz.http1_targets import check_chunked, check_gate, check_request, check_response
from tests.fuzz.seeds import seeds_of, words_of
from tests.fuzz.translation_targets import check_translation
from tests.fuzz.wire_targets import check_body, check_compressed, check_dialects, check_sse, check_values

Check = Callable[[bytes], None]

TARGETS: dict[str, Check] = {
    "request": check_request,
    "gate": check_gate,
    "chunked": check_chunked,
    "response": check_response,
    "body": check_body,
    "compressed": check_compressed,
    "sse": check_sse,
    "dialects": check_dialects,
    "translation": check_translation,
    "values": check_values,
}
MOST_BYTES = 4096


def cases(target: str, rng: random.Random) -> Iterator[bytes]:
    """Cases of a target without end; most are nearly good."""
    seeds, words = seeds_of(target), words_of(target)
    yield from seeds
    while True:
        data = bytearray(seeds[rng.randrange(len(seeds))])
        for _ in range(1 + rng.getrandbits(2)):
            data = _changed(data, seeds, words, rng)
        yield bytes(data[:MOST_BYTES])


def _changed(data: bytearray, seeds: tuple[bytes, ...], words: tuple[bytes, ...], rng: random.Random) -> bytearray:
    at = rng.randrange(len(data) + 1)
    match rng.getrandbits(3):
        case 0:  # a word thrown in
            data[at:at] = words[rng.randrange(len(words))]
        case 1:  # a word in the place of as many bytes
            word = words[rng.randrange(len(words))]
            data[at : at + len(word)] = word
        case 2:  # a byte changed
            data[at : at + 1] = rng.getrandbits(8).to_bytes(1, "big")
        case 3:  # some bytes lost
            del data[at : at + 1 + rng.getrandbits(4)]
        case 4:  # some bytes twice
            piece = data[at : at + 1 + rng.getrandbits(5)]
            data[at:at] = piece * (1 + rng.getrandbits(1))
        case 5:  # another seed behind it, or the end of one
            other = seeds[rng.randrange(len(seeds))]
            data[at if rng.getrandbits(1) else len(data) :] = other[rng.randrange(len(other) + 1) :]
        case 6:  # one bit
            if at < len(data):
                data[at] ^= 1 << rng.getrandbits(3) % 8
        case _:  # cut short
            del data[at:]
    return data
