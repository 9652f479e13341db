"""Storage in memory for tests on virtual time. The rule: the same faces as the real ones, and nothing to wait for."""

import hashlib
from collections.abc import Callable

import msgspec
import trio

from appliance.domain.catalog import Provider
from appliance.domain.errors import ApplianceFault
from appliance.domain.identity import ApiKey, KeyKind, Organisation
from appliance.domain.preset import Preset
from appliance.domain.record import Begun, Observed, Settled
from appliance.store.keys import digest, make_token
from appliance.store.usage import UsageDetail

_SALT = b"0123456789abcdef"


class MemoryDirectory:
    """A Directory made by chaining `with_…` calls, each of which adds to it and returns it.

    The organisation "org_test" is there from the start; what is added belongs to it unless said otherwise.
    """

    def __init__(self, organisation: Organisation = Organisation("org_test", "test")) -> None:
        self._organisations = {organisation.organisation_id: organisation}
        self._keys: dict[str, ApiKey] = {}
        self._providers: dict[str, tuple[Provider, ...]] = {}
        self._secrets: dict[str, str] = {}
        self._presets: dict[str, dict[str, Preset]] = {}
        self._callbacks: list[Callable[[ApiKey], None]] = []
        self.tokens: dict[str, str] = {}
        """The text of each key made by `with_key`, by its name."""
        self.locked = False
        """True: `secret` raises vault_locked."""
        self.generation = 0

    def with_organisation(self, organisation: Organisation) -> "MemoryDirectory":
        """Add or replace an organisation."""
        self._organisations[organisation.organisation_id] = organisation
        self.generation += 1
        return self

    def with_key(self, name: str = "key", kind: KeyKind = "inference", **settings: object) -> "MemoryDirectory":
        """Add a key; its text is then in `tokens[name]`. `settings` are fields of ApiKey."""
        public_id, token = make_token(kind, hashlib.shake_256(f"{kind} {name}".encode()).digest(41))
        fields: dict[str, object] = {
            "key_id": f"key_{name}", "public_id": public_id, "kind": kind, "organisation_id": "org_test",
            "name": name, "salt": _SALT, "digest": digest(_SALT, token), "created_unix_s": 0,
        } | settings  # fmt: skip
        self.put_key(msgspec.convert(fields, ApiKey))
        self.tokens[name] = token
        return self

    def with_provider(
        self, name: str = "openai", secret: str = "sk-upstream", organisation_id: str = "org_test", **settings: object
    ) -> "MemoryDirectory":
        """Add a provider, behind those there are. `settings` are fields of Provider."""
        listed = self._providers.get(organisation_id, ())
        fields: dict[str, object] = {
            "provider_id": f"prov_{name}", "organisation_id": organisation_id, "name": name, "kind": "openai",
            "base_url": f"https://{name}.example/v1", "tiers": ("flex", "default", "priority"),
            "price_as": name, "position": len(listed) + 1,
        } | settings  # fmt: skip
        provider = msgspec.convert(fields, Provider)
        self._providers[organisation_id] = tuple(sorted((*listed, provider), key=lambda one: one.position))
        self._secrets[provider.provider_id] = secret
        self.generation += 1
        return self

    def with_preset(self, name: str, organisation_id: str = "org_test", **settings: object) -> "MemoryDirectory":
        """Add a preset. `settings` are fields of Preset."""
        fields = {"preset_id": f"preset_{name}", "organisation_id": organisation_id, "name": name} | settings
        known = self._presets.get(organisation_id, {}) | {name: msgspec.convert(fields, Preset)}
        self._presets[organisation_id] = dict(sorted(known.items()))
        self.generation += 1
        return self

    def put_key(self, key: ApiKey) -> None:
        """Add a key or replace the one with its public id, and tell the subscribers if it was there."""
        known = key.public_id in self._keys
        self._keys[key.public_id] = key
        self.generation += 1
        if known:
            for callback in tuple(self._callbacks):
                callback(key)

    def revoke(self, name: str, now_unix_s: int = 1) -> None:
        """Revoke the key of this name."""
        key = next(key for key in self._keys.values() if key.name == name)
        self.put_key(msgspec.structs.replace(key, revoked_unix_s=now_unix_s))

    def on_change(self, callback: Callable[[ApiKey], None]) -> Callable[[], None]:
        """See StoreDirectory."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def key(self, public_id: str) -> ApiKey | None:
        """See ports.Directory."""
        return self._keys.get(public_id)

    def key_by_id(self, key_id: str) -> ApiKey | None:
        """See StoreDirectory."""
        return next((key for key in self._keys.values() if key_id in (key.key_id, key.public_id)), None)

    def keys(self, organisation_id: str | None = None) -> tuple[ApiKey, ...]:
        """See StoreDirectory."""
        return tuple(key for key in self._keys.values() if organisation_id in (None, key.organisation_id))

    def organisation(self, organisation_id: str) -> Organisation:
        """See ports.Directory."""
        return self._organisations[organisation_id]

    def organisations(self) -> tuple[Organisation, ...]:
        """See StoreDirectory."""
        return tuple(self._organisations.values())

    def providers(self, organisation_id: str) -> tuple[Provider, ...]:
        """See ports.Directory."""
        return self._providers.get(organisation_id, ())

    def presets(self, organisation_id: str) -> dict[str, Preset]:
        """See ports.Directory."""
        return self._presets.setdefault(organisation_id, {})

    def secret(self, provider: Provider) -> str:
        """See ports.Directory."""
        if self.locked:
            raise ApplianceFault("vault_locked")
        return self._secrets.get(provider.provider_id, "")


class MemoryLedger:
    """A Ledger that collects. `failing` True: check and barrier raise; `hold_barriers()`: they wait to be let go."""

    def __init__(self) -> None:
        self.begun: list[Begun] = []
        self.settled: list[Settled] = []
        self.observed: list[Observed] = []
        self.barriers = 0
        self.failing = False
        self._gate: trio.Event | None = None

    def check(self) -> None:
        """See ports.Ledger."""
        if self.failing:
            raise ApplianceFault("store_unavailable")

    def begin(self, begun: Begun) -> None:
        """See ports.Ledger."""
        self.begun.append(begun)

    def settle(self, settled: Settled) -> None:
        """See ports.Ledger."""
        self.settled.append(settled)

    def observe(self, observed: Observed) -> None:
        """See ports.Ledger."""
        self.observed.append(observed)

    async def request(self, request_id: str, *, organisation_id: str | None = None) -> UsageDetail | None:
        """See ports.Records."""
        await trio.lowlevel.checkpoint()
        for settled in self.settled:
            request = settled.request
            if request.request_id == request_id and organisation_id in (None, request.organisation_id):
                late = {one.attempt.ordinal: one.attempt for one in self.observed if one.request_id == request_id}
                return UsageDetail(request, tuple(late.get(one.ordinal, one) for one in settled.attempts))
        return None

    async def barrier(self) -> None:
        """See ports.Ledger."""
        self.barriers += 1
        if self._gate is not None:
            await self._gate.wait()
        else:
            await trio.lowlevel.checkpoint()
        self.check()

    def hold_barriers(self) -> None:
        """From now on barriers wait until `let_barriers_go`."""
        self._gate = trio.Event()

    def let_barriers_go(self) -> None:
        """Let those waiting pass, and all later ones."""
        if self._gate is not None:
            self._gate.set()
            self._gate = None
