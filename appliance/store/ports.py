"""The faces of storage that the request path sees. The rule: nothing here awaits on the hot path but a strict barrier.

In-memory versions serve the tests on virtual time; `store/ledger.py` and `store/directory.py` are the real ones.
"""

from collections.abc import Mapping
from typing import Protocol

from appliance.domain.catalog import Provider
from appliance.domain.identity import ApiKey, Organisation
from appliance.domain.preset import Preset
from appliance.domain.record import Begun, Observed, Settled
from appliance.store.usage import UsageDetail


class Directory(Protocol):
    """Identities and providers, read from memory; kept current by the writer, replaced whole on each change."""

    generation: int
    """Grows with each change, so that others may keep what they derived from the directory."""

    def key(self, public_id: str) -> ApiKey | None:
        """The key with this public id, revoked and expired ones included."""
        ...

    def organisation(self, organisation_id: str) -> Organisation:
        """The organisation; KeyError if there is none."""
        ...

    def providers(self, organisation_id: str) -> tuple[Provider, ...]:
        """The organisation's providers in the operator's order."""
        ...

    def presets(self, organisation_id: str) -> Mapping[str, Preset]:
        """The organisation's presets by name, in the order of names; the same object until they change."""
        ...

    def secret(self, provider: Provider) -> str:
        """The provider's credential, decrypted for this call. Raises ApplianceFault("vault_locked")."""
        ...


class Ledger(Protocol):
    """Where records are handed over. All hand-overs are synchronous: from then on only the writer owns the record."""

    def check(self) -> None:
        """Raise ApplianceFault("store_unavailable") if a record could not be accepted (full queue, failing disk)."""
        ...

    def begin(self, begun: Begun) -> None:
        """Hand over a `begun` record (unsynced)."""
        ...

    def settle(self, settled: Settled) -> None:
        """Hand over a `settled` record. Never raises: what cannot be kept is held, then counted as lost, loudly."""
        ...

    def observe(self, observed: Observed) -> None:
        """Hand over what an attempt came to that was left running, after its request's `settled`. Never raises."""
        ...

    async def barrier(self) -> None:
        """Wait until all that was handed over before is synced to disk; for `durability = "strict"`.

        Raises ApplianceFault("store_unavailable") when the disk failed.
        """
        ...


class Records(Protocol):
    """Where requests that have ended are read. An answer may lag behind the requests by some milliseconds."""

    async def request(self, request_id: str, *, organisation_id: str | None = None) -> UsageDetail | None:
        """One request with its attempts; None if there is none (in that organisation).

        Raises ApplianceFault("store_unavailable").
        """
        ...
