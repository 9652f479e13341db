"""Identities and providers in memory (ports.Directory). The rule: replaced whole after each committed change.

Only the provider's sealed credential is kept; `secret` decrypts it for each call.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import apsw
import msgspec
import structlog

from appliance.domain.catalog import Provider
from appliance.domain.errors import ApplianceFault
from appliance.domain.identity import ApiKey, Organisation
from appliance.domain.preset import Preset
from appliance.store.vault import Opener, Sealed, Vault

S = TypeVar("S", bound=msgspec.Struct)

SECRET_ROW = "providers.secret"
"""Names the row kind in a credential's associated data."""

_ORGANISATION = ", ".join(Organisation.__struct_fields__)
_KEY = ", ".join(ApiKey.__struct_fields__)
_PROVIDER = ", ".join(Provider.__struct_fields__)
_PRESET = ", ".join(Preset.__struct_fields__)
_TEXT_OF_JSON = ("models", "addresses", "tiers", "headers", "dialects", "aliases", "ladder")
NO_PRESETS: dict[str, Preset] = {}


class Snapshot(msgspec.Struct, frozen=True):
    """All of it at one moment: organisations by id, keys by public id, providers and presets by organisation."""

    organisations: dict[str, Organisation]
    keys: dict[str, ApiKey]
    providers: dict[str, tuple[Provider, ...]]
    sealed: dict[str, Sealed]
    presets: dict[str, dict[str, Preset]] = {}


EMPTY = Snapshot({}, {}, {}, {})


def load(connection: apsw.Connection) -> Snapshot:
    """Read everything. Raises apsw.Error, msgspec.ValidationError."""
    organisations = [
        _struct(Organisation, row)
        for row in connection.execute(f"SELECT {_ORGANISATION} FROM organisations ORDER BY created_unix_s, rowid")  # noqa: S608
    ]
    keys = [
        _struct(ApiKey, row)
        for row in connection.execute(f"SELECT {_KEY} FROM api_keys ORDER BY created_unix_s, rowid")  # noqa: S608
    ]
    providers: dict[str, list[Provider]] = {organisation.organisation_id: [] for organisation in organisations}
    sealed = {}
    for *row, key_id, salt, nonce, ciphertext in connection.execute(
        f"SELECT {_PROVIDER}, secret_key_id, secret_salt, secret_nonce, secret_ciphertext"  # noqa: S608
        " FROM providers ORDER BY position, created_unix_s, name"
    ):
        provider = _struct(Provider, row)
        providers[provider.organisation_id].append(provider)
        if key_id is not None:
            sealed[provider.provider_id] = Sealed(key_id, salt, nonce, ciphertext)
    presets: dict[str, dict[str, Preset]] = {}
    for row in connection.execute(f"SELECT {_PRESET} FROM presets ORDER BY name"):  # noqa: S608
        preset = _struct(Preset, row)
        presets.setdefault(preset.organisation_id, {})[preset.name] = preset
    return Snapshot(
        {organisation.organisation_id: organisation for organisation in organisations},
        {key.public_id: key for key in keys},
        {organisation_id: tuple(listed) for organisation_id, listed in providers.items()},
        sealed,
        presets,
    )


def columns(value: msgspec.Struct, fields: Mapping[str, object] | None = None) -> tuple[list[str], list[Any]]:
    """The column names and values of an organisation, key, preset or provider; tuples and tables become JSON text.

    `fields`: of these alone, with these values.
    """
    if fields is None:
        names, values = list(value.__struct_fields__), list(msgspec.structs.astuple(value))
    else:
        names = [name for name in value.__struct_fields__ if name in fields]
        values = [fields[name] for name in names]
    for at, name in enumerate(names):
        if name in _TEXT_OF_JSON and values[at] is not None:
            values[at] = msgspec.json.encode(values[at]).decode()
    return names, values


def _struct(struct: type[S], row: Any) -> S:
    fields = dict(zip(struct.__struct_fields__, row, strict=True))
    for name in _TEXT_OF_JSON:
        if isinstance(fields.get(name), str):
            fields[name] = msgspec.json.decode(fields[name])
    return msgspec.convert(fields, struct, strict=False)


class StoreDirectory:
    """The Directory of a store. Belongs to the event loop."""

    def __init__(self, vault: Vault, snapshot: Snapshot = EMPTY) -> None:
        self._vault = vault
        self._snapshot = snapshot
        self._openers: dict[str, tuple[Sealed, Opener]] = {}
        self._callbacks: list[Callable[[ApiKey], None]] = []
        self._log = structlog.get_logger("store")
        self.generation = 0
        """Grows with each change, so that others may keep what they derived from the directory."""

    def key(self, public_id: str) -> ApiKey | None:
        """See ports.Directory."""
        return self._snapshot.keys.get(public_id)

    def organisation(self, organisation_id: str) -> Organisation:
        """See ports.Directory."""
        return self._snapshot.organisations[organisation_id]

    def providers(self, organisation_id: str) -> tuple[Provider, ...]:
        """See ports.Directory."""
        return self._snapshot.providers.get(organisation_id, ())

    def presets(self, organisation_id: str) -> dict[str, Preset]:
        """See ports.Directory."""
        return self._snapshot.presets.get(organisation_id, NO_PRESETS)

    def secret(self, provider: Provider) -> str:
        """See ports.Directory; "" for a provider without a credential (a local server that asks for none)."""
        opener = self._openers.get(provider.provider_id)
        if opener is None:
            sealed = self._snapshot.sealed.get(provider.provider_id)
            if sealed is None:
                return ""
            opener = self._openers[provider.provider_id] = (sealed, self._opener(provider, sealed))
        return opener[1]()

    def has_secret(self, provider: Provider) -> bool:
        """Whether a credential is stored for the provider."""
        return provider.provider_id in self._snapshot.sealed

    def organisations(self) -> tuple[Organisation, ...]:
        """All organisations, oldest first."""
        return tuple(self._snapshot.organisations.values())

    def keys(self, organisation_id: str | None = None) -> tuple[ApiKey, ...]:
        """The keys of an organisation, or all, oldest first; revoked and expired ones included."""
        return tuple(key for key in self._snapshot.keys.values() if organisation_id in (None, key.organisation_id))

    def key_by_id(self, key_id: str) -> ApiKey | None:
        """The key with this key id or public id."""
        return next((key for key in self._snapshot.keys.values() if key_id in (key.key_id, key.public_id)), None)

    def on_change(self, callback: Callable[[ApiKey], None]) -> Callable[[], None]:
        """Call back for each existing key that a change altered (revocation, expiry). Returns what ends it.

        Callbacks run in the event loop right after the change is visible and must not wait.
        """
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def replace(self, snapshot: Snapshot) -> None:
        """Take a new state over and tell the subscribers which keys changed."""
        old, self._snapshot = self._snapshot, snapshot
        self.generation += 1
        self._openers = {
            provider_id: (sealed, opener)
            for provider_id, (sealed, opener) in self._openers.items()
            if snapshot.sealed.get(provider_id) == sealed
        }
        for public_id, before in old.keys.items():
            after = snapshot.keys.get(public_id, before)
            if after == before:
                continue
            for callback in tuple(self._callbacks):
                try:
                    callback(after)
                except Exception as fault:  # noqa: BLE001 - one subscriber must not keep the others from hearing
                    self._log.error("key_change_callback_failed", error=type(fault).__name__)

    def _opener(self, provider: Provider, sealed: Sealed) -> Opener:
        if provider.organisation_id not in self._snapshot.organisations:
            raise ApplianceFault("vault_locked")
        return self._vault.opener(
            sealed, organisation_id=provider.organisation_id, provider_id=provider.provider_id, row=SECRET_ROW
        )
