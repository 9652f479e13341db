"""Verifying the archive over the admin route."""

from tests.rig import chat
from tests.server.admin.office import Office


async def test_a_whole_archive_is_good_and_a_damaged_one_is_not(office: Office) -> None:
    async with office.rig.http() as client:
        assert (await client.post("/v1/chat/completions", json=chat())).status_code == 200
        assert (await client.post("/v1/chat/completions", json=chat())).status_code == 200
    await office.rig.appliance.store.ledger.barrier()
    found = await office.ask("GET", "archive/verify")
    assert (found["good"], found["records"], found["missing"]) == (True, 4, [])
    assert await office.ask("GET", "archive/verify", by="manager") == {"good": True}, "counts are of all organisations"
    [segment] = (office.rig.folder / "archive").glob("*.segment")
    damaged = bytearray(segment.read_bytes())
    damaged[len(damaged) // 3] ^= 0xFF
    segment.write_bytes(damaged)
    assert (await office.ask("GET", "archive/verify"))["good"] is False
