"""The plug is pulled on a server that answers clients: what a client has whole in strict mode is on the disk."""

import shutil
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio

from appliance.domain.record import Begun
from tests.disk.disk import Fate, Operation, pulls
from tests.disk.drive import watched
from tests.disk.judge import Kept, Told, judge
from tests.rig import CHAT, chat, request, running

pytestmark = pytest.mark.sockets

WISHES: tuple[dict[str, Any], ...] = (
    {"stream": True},
    {},
    {"start_within": "30s", "stream": True},
    {"start_within": "30s"},
    {"sim": "start=0.02", "stream": True, "max_tokens": 9},
)


async def served(folder: Path, each: int) -> tuple[list[Operation], Told]:
    """Three clients with so many requests each, of all kinds; the operations of the disk, and what was recorded."""
    told = Told({}, {}, {})
    with watched(folder) as drive:
        async with running(
            data_folder=folder, vfs=drive.vfs.name, durability="strict", archive_segment_bytes=4000
        ) as rig:
            begin = rig.appliance.gateway.ledger.begin

            def note(begun: Begun) -> None:
                told.begun[begun.request_id] = begun
                begin(begun)

            rig.appliance.store.ledger.begin = note  # type: ignore[method-assign]

            async def client(first: int) -> None:
                connection = await rig.connect()
                for number in range(each):
                    wish = WISHES[(first + number) % len(WISHES)]
                    await connection.send(request(path=CHAT, key=rig.token, body=chat("hello", **wish)))
                    answer = await connection.answer()
                    assert answer.complete and answer.status == 200
                    request_id = answer.header("x-startline-request-id")
                    assert request_id is not None
                    drive.log.mark(Kept(request_id))

            async with trio.open_nursery() as nursery:
                for first in range(3):
                    nursery.start_soon(client, first)
            told.settled.update({one.request.request_id: one for one in rig.settled})
            assert len(told.settled) == len(told.begun) == 3 * each
        return drive.operations, told


@pytest.mark.parametrize(("each", "share"), [(5, 1.0), (25, 0.08)], ids=["everywhere", "here and there"])
def test_what_a_client_received_whole_survives_the_pulled_plug(folder: Path, each: int, share: float) -> None:
    (folder / "served").mkdir()
    operations, told = trio.run(served, folder / "served", each)
    chance = Random(each)

    def fates(_: int) -> tuple[Fate, ...]:
        return ("lost", chance.choice(("kept", "torn", "scattered"))) if chance.random() < share else ()

    looked = 0
    for pull in pulls(operations, fates):
        looked += 1
        trio.run(partial(judge, pull, told, folder / str(looked)))
        shutil.rmtree(folder / str(looked))
    assert looked > 100
