"""What the writer tells of itself. The rule: numbers alone, and one word for the disk's last fault."""

import msgspec


class WriterCounters(msgspec.Struct, frozen=True):
    """The writer's state for metrics. `held_bytes` counts records not yet in the database, `lost` those turned away.

    `changes` wait for their transaction, `waiters` for a sync; `open_requests` were begun and not settled.
    `unstorable` rows are in the archive but were refused by the database. `error` is the class of the disk's last
    fault while it lasts.
    """

    queued: int
    held_bytes: int
    changes: int
    waiters: int
    open_requests: int
    lost: int
    unstorable: int
    batches: int
    failing: bool
    error: str | None
