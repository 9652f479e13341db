"""What the deadline engine knows, on the disk. The rule: the whole of it is replaced at once."""

from contextlib import closing
from pathlib import Path

import apsw
import msgspec
import trio

from appliance.domain.errors import ApplianceFault
from appliance.policy.exploration import KeptPurse
from appliance.policy.latency import KeptSeries
from appliance.store.database import DISK_FAULTS, open_database
from appliance.store.writer import StoreWriter

_DECODER = msgspec.msgpack.Decoder(KeptSeries)
_PURSE = ", ".join(KeptPurse.__struct_fields__)


class KeptLatency:
    """Counts of how long attempts took, answers were and looked-for rungs cost, as they were last saved.

    One row for each level of counts, named by its path as JSON text, and one for each purse.
    """

    def __init__(self, writer: StoreWriter, database: Path, vfs: str | None = None) -> None:
        self._writer = writer
        self._database = database
        self._vfs = vfs

    async def save(self, kept: tuple[KeptSeries, ...], purses: tuple[KeptPurse, ...]) -> None:
        """Replace what was saved before. Raises ApplianceFault("store_unavailable")."""

        def work(connection: apsw.Connection) -> None:
            rows = [(msgspec.json.encode(one.path).decode(), msgspec.msgpack.encode(one)) for one in kept]
            connection.execute("DELETE FROM latency")
            connection.executemany("INSERT INTO latency VALUES(?, ?)", rows)
            connection.execute("DELETE FROM purses")
            connection.executemany(
                f"INSERT INTO purses({_PURSE}) VALUES(?, ?, ?, ?, ?, ?)",
                [msgspec.structs.astuple(one) for one in purses],
            )

        await self._writer.write(work)

    async def load(self) -> tuple[tuple[KeptSeries, ...], tuple[KeptPurse, ...]]:
        """What was saved last; rows that this version cannot read are left out.

        Raises ApplianceFault("store_unavailable").
        """
        return await trio.to_thread.run_sync(self._load)

    def _load(self) -> tuple[tuple[KeptSeries, ...], tuple[KeptPurse, ...]]:
        found: list[KeptSeries] = []
        purses: list[KeptPurse] = []
        try:
            with closing(open_database(self._database, read_only=True, vfs=self._vfs)) as connection:
                for (counts,) in connection.execute("SELECT counts FROM latency ORDER BY path"):
                    try:
                        found.append(_DECODER.decode(counts))
                    except (msgspec.DecodeError, RecursionError):
                        continue
                for row in connection.execute(f"SELECT {_PURSE} FROM purses"):  # noqa: S608 - our own names
                    try:
                        purses.append(msgspec.convert(row, KeptPurse, strict=False))  # a flag is a number here
                    except msgspec.ValidationError:
                        continue
        except DISK_FAULTS:
            raise ApplianceFault("store_unavailable") from None
        return tuple(found), tuple(purses)
