"""What is known of how long attempts take to start, on the disk. The rule: the whole of it is replaced at once."""

from contextlib import closing
from pathlib import Path

import apsw
import msgspec
import trio

from appliance.domain.errors import ApplianceFault
from appliance.policy.latency import KeptSeries
from appliance.store.database import DISK_FAULTS, open_database
from appliance.store.writer import StoreWriter

_DECODER = msgspec.msgpack.Decoder(KeptSeries)


class KeptLatency:
    """The counts of a LatencyModel as it was last saved. One row for each level, named by its path as JSON text."""

    def __init__(self, writer: StoreWriter, database: Path, vfs: str | None = None) -> None:
        self._writer = writer
        self._database = database
        self._vfs = vfs

    async def save(self, kept: tuple[KeptSeries, ...]) -> None:
        """Replace what was saved before. Raises ApplianceFault("store_unavailable")."""

        def work(connection: apsw.Connection) -> None:
            rows = [(msgspec.json.encode(one.path).decode(), msgspec.msgpack.encode(one)) for one in kept]
            connection.execute("DELETE FROM latency")
            connection.executemany("INSERT INTO latency VALUES(?, ?)", rows)

        await self._writer.write(work)

    async def load(self) -> tuple[KeptSeries, ...]:
        """What was saved last; rows that this version cannot read are left out.

        Raises ApplianceFault("store_unavailable").
        """
        return await trio.to_thread.run_sync(self._load)

    def _load(self) -> tuple[KeptSeries, ...]:
        found: list[KeptSeries] = []
        try:
            with closing(open_database(self._database, read_only=True, vfs=self._vfs)) as connection:
                for (counts,) in connection.execute("SELECT counts FROM latency ORDER BY path"):
                    try:
                        found.append(_DECODER.decode(counts))
                    except (msgspec.DecodeError, RecursionError):
                        continue
        except DISK_FAULTS:
            raise ApplianceFault("store_unavailable") from None
        return tuple(found)
