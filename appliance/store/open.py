"""Opens the store of a data folder. The rule: locked first, checked next, and nothing of it outlives the block.

`serve` and the offline command line open it alike. What the store needs of the archive comes in as an argument:
`archive.writer.ArchiveWriter` is the real one.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import TypeVar

import apsw
import apsw.bestpractice
import trio

from appliance.store.commit import Archive, Position, Recovery
from appliance.store.database import look_only, open_database, unusable
from appliance.store.directory import Snapshot, StoreDirectory, load
from appliance.store.faults import WrongMasterKey
from appliance.store.folder import DataFolder, master_key
from appliance.store.latency import KeptLatency
from appliance.store.ledger import OnStoreFailure, StoreLedger
from appliance.store.organisations import ApiKeys, Organisations
from appliance.store.presets import Presets
from appliance.store.providers import Providers
from appliance.store.schema import check, migrate
from appliance.store.usage import Usage
from appliance.store.vault import SALT_BYTES, Vault
from appliance.store.writer import BATCH_ROWS, HELD_BYTES, LINGER_S, SYNC_EVERY_S, Durability, StoreWriter

T = TypeVar("T")
OpenArchive = Callable[[Path, Position], Archive]
"""Opens the archive in a folder, given the position that the database has committed."""


class Store:
    """An open store; made by `open_store`. `first_start`: there was no organisation when it was opened."""

    def __init__(
        self,
        folder: DataFolder,
        vault: Vault,
        directory: StoreDirectory,
        writer: StoreWriter,
        ledger: StoreLedger,
        random: Callable[[int], bytes],
        *,
        first_start: bool,
        recovery: Recovery,
        vfs: str | None,
    ) -> None:
        self.folder = folder
        self.vault = vault
        self.directory = directory
        self.writer = writer
        self.ledger = ledger
        self.first_start = first_start
        self.recovery = recovery
        self.usage = Usage(folder.database, vfs)
        self.accounts = Usage(folder.database, vfs)  # for inference keys: neither side waits behind the other
        self.organisations = Organisations(self.change, directory, random)
        self.api_keys = ApiKeys(self.change, directory, random)
        self.providers = Providers(self.change, directory, vault, random)
        self.presets = Presets(self.change, directory, random)
        self.latency = KeptLatency(writer, folder.database, vfs)

    async def change(self, function: Callable[[apsw.Connection], T]) -> T:
        """Run `function` as one transaction, synced; when this returns the directory shows it.

        Raises what the function raises (then nothing has changed), or ApplianceFault("store_unavailable").
        """

        def work(connection: apsw.Connection) -> tuple[T, Snapshot]:
            return function(connection), load(connection)

        result, _ = await self.writer.write(work, then=lambda pair: self.directory.replace(pair[1]))
        return result


@asynccontextmanager
async def open_store(
    path: Path,
    *,
    archive: OpenArchive,
    now_unix_us: int,
    random: Callable[[int], bytes],
    supplied_master_key: bytes | None = None,
    durability: Durability = "batched",
    on_store_failure: OnStoreFailure = "refuse",
    batch_rows: int = BATCH_ROWS,
    linger_s: float = LINGER_S,
    sync_every_s: float = SYNC_EVERY_S,
    held_bytes: int = HELD_BYTES,
    vfs: str | None = None,
) -> AsyncIterator[Store]:
    """Open the data folder at `path`, made if it is missing; on leaving, all records are written and all is closed.

    `random` gives that many unpredictable bytes (secrets.token_bytes); `vfs` names the way to the disk that SQLite
    takes (None: its own). Raises FolderLocked, MissingMasterKey, BadMasterKey, WrongMasterKey, NewerSchema, NotOurs,
    UnusableDatabase, OSError, apsw.Error. A writer that dies cancels the block and raises an exception group;
    exceptions of the block itself pass as they are.
    """

    def open_all() -> tuple[Store, apsw.Connection]:
        folder = DataFolder(path)
        connection: apsw.Connection | None = None
        opened: Archive | None = None
        try:
            vault = Vault(master_key(folder, supplied_master_key, random))
            if folder.database.exists():
                with closing(look_only(folder.database, vfs)) as looking:
                    if check(looking):
                        _check_master_key(looking, vault)
            connection = open_database(folder.database, vfs=vfs)
            migrate(connection, folder.backups, now_unix_us)
            _note_master_key(connection, vault, now_unix_us, random)
            apsw.bestpractice.connection_optimize(connection)
            committed = connection.execute("SELECT segment, offset FROM archive_position").get
            opened = archive(folder.archive, committed)
            writer = StoreWriter(
                connection, opened, durability=durability, batch_rows=batch_rows, linger_s=linger_s,
                sync_every_s=sync_every_s, held_bytes=held_bytes,
            )  # fmt: skip
            recovery = writer.recover()
            directory = StoreDirectory(vault, load(connection))
            ledger = StoreLedger(writer, on_store_failure=on_store_failure)
            return Store(
                folder,
                vault,
                directory,
                writer,
                ledger,
                random,
                first_start=not directory.organisations(),
                recovery=recovery,
                vfs=vfs,
            ), connection
        except BaseException as fault:
            with ExitStack() as ending:
                ending.callback(folder.close)
                if connection is not None:
                    ending.callback(connection.close)
                if opened is not None:
                    ending.callback(opened.close)
            if isinstance(fault, apsw.Error) and (told := unusable(folder.database, fault)):
                raise told from None
            raise

    store, connection = await trio.to_thread.run_sync(open_all)
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(store.writer.run)
            try:
                yield store
            except Exception as fault:  # noqa: BLE001 - raised again below, outside of the nursery that would wrap it
                failure = fault
            finally:
                store.writer.stop()
    finally:
        with ExitStack() as ending:  # each, whatever the one before it meets
            ending.callback(store.folder.close)
            ending.callback(connection.close)
            ending.callback(store.usage.close)
            ending.callback(store.accounts.close)
    if failure is not None:
        raise failure


def _check_master_key(connection: apsw.Connection, vault: Vault) -> None:
    """Refuse a master key that is not the database's."""
    rows = list(connection.execute("SELECT key_id, salt, check_value FROM vault_keys"))
    if rows and not any(key_id == vault.key_id and vault.matches(salt, value) for key_id, salt, value in rows):
        raise WrongMasterKey("the master key is not the one that this database was made with")


def _note_master_key(
    connection: apsw.Connection, vault: Vault, now_unix_us: int, random: Callable[[int], bytes]
) -> None:
    """Note the check value in a database that has none yet."""
    if not connection.execute("SELECT count(*) FROM vault_keys").get:
        salt = random(SALT_BYTES)
        values = (vault.key_id, salt, vault.check_value(salt), now_unix_us)
        connection.execute("INSERT INTO vault_keys VALUES(?, ?, ?, ?)", values)
