"""Another process holds the database's write lock: requests are turned away until it lets go, and nothing is lost."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from appliance.domain.errors import ApplianceFault
from appliance.store.usage import UsageFilter
from tests.disk.judge import rows_of
from tests.rig import CHAT, Rig, chat, request, running

pytestmark = pytest.mark.sockets

LOCKER = """
import apsw, sys
connection = apsw.Connection(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


async def asked(rig: Rig) -> str:
    """Ask once: "" when it was answered, else status and code."""
    client = await rig.connect()
    await client.send(request(path=CHAT, key=rig.token, body=chat("hello")))
    answer = await client.answer()
    return "" if answer.status == 200 else f"{answer.status} {answer.code}"


async def test_a_database_that_another_process_has_locked(tmp_path: Path) -> None:
    async with running(data_folder=tmp_path / "data") as rig:
        store = rig.appliance.store
        assert await asked(rig) == ""
        await store.ledger.flush()
        store.writer._committer.connection.set_busy_timeout(0)  # else each try takes five seconds
        words = [sys.executable, "-c", LOCKER, str(rig.folder / "startline.db")]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as locking:  # noqa: ASYNC220
            assert locking.stdin is not None and locking.stdout is not None
            assert await trio.to_thread.run_sync(locking.stdout.readline) == b"locked\n"
            assert await asked(rig) == "", "its record waits"
            await rig.until(lambda: store.ledger.counters.failing)
            assert store.ledger.counters.error == "BusyError"
            served = len(list(rig.journal))
            assert await asked(rig) == "503 store_unavailable"
            assert len(list(rig.journal)) == served
            with pytest.raises(ApplianceFault, match="store_unavailable"):
                await rig.new_key()
            assert (await store.usage.totals(UsageFilter())).requests == 1, "what is there can be read"
            locking.stdin.close()
            await rig.until(lambda: not store.ledger.counters.failing)
        assert await asked(rig) == ""
        await rig.new_key()
        await store.ledger.flush()
        assert await rows_of(store) == {one.request.request_id: one for one in rig.settled}
        assert [one.request.error_code for one in rig.settled] == [None, None, "store_unavailable", None]
