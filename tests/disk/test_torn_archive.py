"""An archive that was cut at any byte, or of which any byte is wrong, opens, and loses only the record that was hit."""

import shutil
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio

from appliance.archive.reader import ArchiveReader, segment_name
from appliance.archive.segment import FRAME_BYTES, HEADER_BYTES, decode, encode
from appliance.archive.writer import ArchiveWriter
from appliance.domain.record import ArchiveRecord, Begun, Settled
from appliance.store.commit import interrupted
from tests.archive.records import begun, settled
from tests.disk.judge import rows_of
from tests.store.opening import opened

RECORDS: list[ArchiveRecord] = [begun(0), settled(0), begun(1), begun(2), settled(2), settled(1)]
LOOKS = 150


@pytest.fixture
def whole(folder: Path) -> tuple[Path, bytes, list[int]]:
    """A data folder whose rows are still to be made from its archive; the segment's bytes, and where records end."""

    async def make() -> None:
        async with opened(folder / "data"):
            pass

    trio.run(make)
    archive = ArchiveWriter(folder / "data" / "archive")
    archive.append([encode(record) for record in RECORDS])
    archive.close()
    ends = [HEADER_BYTES]
    for record in RECORDS:
        ends.append(ends[-1] + FRAME_BYTES + len(encode(record)))
    return folder, (folder / "data" / "archive" / segment_name(1)).read_bytes(), ends[1:]


def expected(records: list[ArchiveRecord]) -> dict[str, Settled]:
    rows = {one.request.request_id: one for one in records if isinstance(one, Settled)}
    return {one.request_id: interrupted(one) for one in records if isinstance(one, Begun)} | rows


async def check(folder: Path, data: bytes, left: list[ArchiveRecord]) -> None:
    """Open a copy of the folder with this segment: its rows are those of the records that are left."""
    shutil.copytree(folder / "data", folder / "copy")
    (folder / "copy" / "archive" / segment_name(1)).write_bytes(data)
    async with opened(folder / "copy") as store:
        assert await rows_of(store) == expected(left)
        store.ledger.settle(settled(9))
        await store.ledger.barrier()
    async with opened(folder / "copy") as store:
        assert await rows_of(store) == expected([*left, settled(9)])
    shutil.rmtree(folder / "copy")


def test_cut_at_every_byte(whole: tuple[Path, bytes, list[int]]) -> None:
    folder, data, ends = whole
    looked_at = set(Random(1).sample(range(len(data)), LOOKS)) | {*ends, *(end - 1 for end in ends), HEADER_BYTES}
    for cut in range(len(data) + 1):
        left = RECORDS[: sum(end <= cut for end in ends)]
        (folder / "archive").mkdir()
        (folder / "archive" / segment_name(1)).write_bytes(data[:cut])
        archive = ArchiveWriter(folder / "archive")
        archive.append([b"after"])
        archive.close()
        payloads = [payload for _, payload in ArchiveReader(folder / "archive").payloads()]
        assert [decode(payload) for payload in payloads[:-1]] == left, cut
        assert payloads[-1] == b"after"
        shutil.rmtree(folder / "archive")
        if cut in looked_at:
            trio.run(partial(check, folder, data[:cut], left))


def test_every_byte_wrong(whole: tuple[Path, bytes, list[int]]) -> None:
    folder, data, ends = whole
    chance = Random(2)
    looked_at = set(chance.sample(range(len(data)), LOOKS))
    for at in range(len(data)):
        wrong = data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]
        hit = sum(end <= at for end in ends)
        left = RECORDS if at < HEADER_BYTES else RECORDS[:hit] + RECORDS[hit + 1 :]
        (folder / "archive").mkdir()
        (folder / "archive" / segment_name(1)).write_bytes(wrong)
        reader = ArchiveReader(folder / "archive")
        assert [entry.record for entry in reader.records()] == left, at
        verified = reader.verify()
        assert verified.ok == (hit == len(RECORDS) - 1 and at >= HEADER_BYTES), "a torn tail is no fault, damage is"
        archive = ArchiveWriter(folder / "archive")
        archive.append([encode(settled(9))])
        archive.close()
        assert [entry.record for entry in reader.records()] == [*left, settled(9)], "the start loses none of the others"
        shutil.rmtree(folder / "archive")
        if at in looked_at:
            trio.run(partial(check, folder, wrong, left))
