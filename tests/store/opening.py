"""A store on a temporary folder for tests: fixed clock, seeded bytes that still differ from call to call."""

import hashlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from appliance.archive.writer import ArchiveWriter
from appliance.domain.identity import ApiKey
from appliance.store.open import Store, open_store

NOW_UNIX_S = 1_700_000_000


def seeded() -> Callable[[int], bytes]:
    """Bytes from a counter: the same in each run, different on each call."""
    calls = itertools.count()

    def random(size: int) -> bytes:
        return hashlib.shake_256(b"%d" % next(calls)).digest(size)

    return random


@asynccontextmanager
async def opened(path: Path, **settings: object) -> AsyncIterator[Store]:
    """The store of `path` with the real archive."""
    arguments: dict[str, object] = {
        "archive": ArchiveWriter, "now_unix_us": NOW_UNIX_S * 1_000_000, "random": seeded(), "linger_s": 0.0,
    } | settings  # fmt: skip
    async with open_store(path, **arguments) as store:  # type: ignore[arg-type]
        yield store


async def with_key(store: Store) -> tuple[ApiKey, str]:
    """An organisation and an inference key in it."""
    organisation = await store.organisations.create("acme", now_unix_s=NOW_UNIX_S)
    return await store.api_keys.create(organisation.organisation_id, "inference", "laptop", now_unix_s=NOW_UNIX_S)


def bytes_of(folder: Path) -> bytes:
    """What all the files under a folder hold, to look for what must not be there."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
