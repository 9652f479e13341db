"""The operator's prices, `prices.toml` in the data folder. The rule: read when it changes, and never half.

It is looked at every few seconds by its time and size. One that cannot be read changes nothing and is told in the log;
at the start it stops the start. Prices never come from the network.
"""

import tomllib
from pathlib import Path

import structlog
import trio

from appliance.domain.money import Rates
from appliance.policy.prices import Override, PriceTable, read_overrides
from appliance.settings import SettingsFault

NAME = "prices.toml"
LOOK_S = 5.0

log = structlog.get_logger("prices")

Stamp = tuple[int, int, int] | None
"""What tells one state of the file from another: time, size, inode; None: there is none."""


def read_prices(folder: Path) -> dict[Override, Rates]:
    """The operator's prices; none without a file. Raises SettingsFault naming file and row."""
    file = folder / NAME
    try:
        return read_overrides(tomllib.loads(file.read_text("utf-8"))) if file.is_file() else {}
    except ValueError as wrong:
        raise SettingsFault(f"{NAME}: {wrong}") from None


def stamp(folder: Path) -> Stamp:
    """The state of the file. Raises OSError."""
    try:
        found = (folder / NAME).stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


async def run(folder: Path, prices: PriceTable, known: Stamp) -> None:
    """Take over what changes in the file, until cancelled. `known`: its state when `prices` was made."""
    while True:
        await trio.sleep(LOOK_S)
        try:
            now = await trio.to_thread.run_sync(stamp, folder)
            if now == known:
                continue
            known = now
            rows = await trio.to_thread.run_sync(read_prices, folder)
        except (OSError, SettingsFault) as fault:
            why = str(fault) if isinstance(fault, SettingsFault) else type(fault).__name__
            log.error("prices_unreadable", why=why, remedy="mend the file; the former prices hold until then")
        else:
            prices.override(rows)
            log.info("prices_read", rows=len(rows))
