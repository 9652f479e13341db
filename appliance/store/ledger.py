"""The hand-over of records (ports.Ledger). The rule: it never waits and never raises; losses are counted loudly."""

from typing import Literal

import msgspec
import structlog

from appliance.domain.errors import ApplianceFault
from appliance.domain.record import ArchiveRecord, Begun, Observed, Settled
from appliance.store.counters import WriterCounters
from appliance.store.writer import StoreWriter

OnStoreFailure = Literal["refuse", "serve"]
_ENCODER = msgspec.msgpack.Encoder()
_REFUSE_SHARE = 0.5


class StoreLedger:
    """Encodes records and queues them for the writer.

    `on_store_failure`: "refuse" turns requests away while the disk fails or half of the memory for held records is
    full (the other half is for the requests already admitted); "serve" admits them, and records beyond the limit are
    lost.
    """

    def __init__(self, writer: StoreWriter, *, on_store_failure: OnStoreFailure = "refuse") -> None:
        self._writer = writer
        self._queue = writer.handover
        self._refuse = on_store_failure == "refuse"
        self._refuse_bytes = int(self._queue.limit_bytes * _REFUSE_SHARE)
        self._log = structlog.get_logger("store")

    @property
    def counters(self) -> WriterCounters:
        """A snapshot for metrics."""
        return self._writer.counters

    @property
    def available(self) -> bool:
        """Whether the disk works and the queue has room."""
        return not (self._writer.failing or self._writer.ended or self._queue.held_bytes >= self._refuse_bytes)

    def check(self) -> None:
        """See ports.Ledger. With "serve" only an ended writer is refused."""
        if self._writer.ended or (self._refuse and not self.available):
            raise ApplianceFault("store_unavailable")

    def begin(self, begun: Begun) -> None:
        """See ports.Ledger. Never raises either."""
        self._put(begun)

    def settle(self, settled: Settled) -> None:
        """See ports.Ledger."""
        self._put(settled)

    def observe(self, observed: Observed) -> None:
        """See ports.Ledger."""
        self._put(observed)

    async def barrier(self) -> None:
        """See ports.Ledger."""
        if self._queue.held_bytes >= self._refuse_bytes:
            raise ApplianceFault("store_unavailable")  # the record that this is about may have been turned away
        await self._writer.barrier()

    async def flush(self) -> None:
        """Wait until all that was handed over before can be queried. Raises ApplianceFault("store_unavailable")."""
        await self._writer.flush()

    def _put(self, record: ArchiveRecord) -> None:
        try:
            payload = _ENCODER.encode(record)
        except (ValueError, TypeError, OverflowError) as fault:
            # Text with lone surrogates, integers beyond 64 bits: a defect upstream of here, but the answer was given.
            self._queue.lost += 1
            self._log.error("record_lost", error=type(fault).__name__, lost=self._queue.lost)
            return
        if not self._queue.put((payload, record)) and self._queue.lost & (self._queue.lost - 1) == 0:
            self._log.error("record_lost", error="store_unavailable", lost=self._queue.lost)
