"""Changes of providers. The rule: a credential is sealed before it reaches the transaction and never read back."""

import apsw
import msgspec

from appliance.domain.catalog import Provider
from appliance.domain.ids import record_id
from appliance.store.directory import SECRET_ROW, StoreDirectory
from appliance.store.faults import NameTaken, UnknownRow
from appliance.store.organisations import Change, Random, insert, update
from appliance.store.vault import Sealed, Vault


class Providers:
    """The providers of all organisations."""

    def __init__(self, change: Change, directory: StoreDirectory, vault: Vault, random: Random) -> None:
        self._change = change
        self._directory = directory
        self._vault = vault
        self._random = random

    async def add(self, provider: Provider, secret: str | None, *, now_unix_s: int) -> Provider:
        """Store a provider and its credential; None where the server asks for none. Raises NameTaken, UnknownRow.

        `provider_id` and `created_unix_s` are made here; a `position` of 0 means behind those there are.
        """
        provider = msgspec.structs.replace(
            provider,
            provider_id=record_id("prov", self._random(9)),
            created_unix_s=now_unix_s,
            position=provider.position
            or 1 + max((one.position for one in self._directory.providers(provider.organisation_id)), default=0),
        )
        sealed = self._seal(provider, secret)

        def work(connection: apsw.Connection) -> None:
            owner = (provider.organisation_id,)
            if not connection.execute("SELECT count(*) FROM organisations WHERE organisation_id = ?", owner).get:
                raise UnknownRow(f"there is no organisation {provider.organisation_id!r}")
            taken = "SELECT count(*) FROM providers WHERE organisation_id = ? AND name = ?"
            if connection.execute(taken, (provider.organisation_id, provider.name)).get:
                raise NameTaken(f"the organisation has a provider named {provider.name!r} already")
            insert(connection, "providers", provider)
            _set_secret(connection, provider.provider_id, sealed)

        await self._change(work)
        return provider

    def list(self, organisation_id: str | None = None) -> tuple[Provider, ...]:
        """The providers of an organisation, or all, in the operator's order."""
        if organisation_id is not None:
            return self._directory.providers(organisation_id)
        owners = self._directory.organisations()
        return tuple(one for owner in owners for one in self._directory.providers(owner.organisation_id))

    def show(self, organisation_id: str, name: str) -> Provider:
        """One provider, by its name or provider id. Raises UnknownRow."""
        for provider in self._directory.providers(organisation_id):
            if name in (provider.name, provider.provider_id):
                return provider
        raise UnknownRow(f"there is no provider {name!r}")

    async def change(self, provider: Provider, secret: str | None = None, **fields: object) -> Provider:
        """Store these fields of a provider, and its credential if one is given; the others stay as they are.

        Only what is named is written, so that of two changes at the same time none is lost. Raises UnknownRow,
        NameTaken.
        """
        sealed = self._seal(provider, secret)

        def work(connection: apsw.Connection) -> None:
            try:
                found = update(connection, "providers", provider, fields)
            except apsw.ConstraintError:
                raise NameTaken(f"the organisation has a provider named {fields.get('name')!r} already") from None
            if not found:
                raise UnknownRow(f"there is no provider {provider.provider_id!r}")
            if sealed is not None:
                _set_secret(connection, provider.provider_id, sealed)

        await self._change(work)
        return self.show(provider.organisation_id, provider.provider_id)

    async def set_models(self, provider: Provider, models: tuple[str, ...] | None) -> Provider:
        """Store which models a provider lists; None: not known. Raises UnknownRow."""
        return await self.change(provider, models=models)

    async def set_secret(self, provider: Provider, secret: str | None) -> None:
        """Replace a provider's credential. Raises UnknownRow."""
        sealed = self._seal(provider, secret)
        await self._change(lambda connection: _set_secret(connection, provider.provider_id, sealed))

    async def remove(self, provider: Provider) -> None:
        """Forget a provider and its credential; usage keeps its name. Raises UnknownRow."""

        def work(connection: apsw.Connection) -> None:
            connection.execute("DELETE FROM providers WHERE provider_id = ?", (provider.provider_id,))
            if not connection.changes():
                raise UnknownRow(f"there is no provider {provider.provider_id!r}")

        await self._change(work)

    def _seal(self, provider: Provider, secret: str | None) -> Sealed | None:
        if not secret:
            return None
        return self._vault.seal(
            secret,
            organisation_id=provider.organisation_id,
            provider_id=provider.provider_id,
            row=SECRET_ROW,
            random=self._random,
        )


def _set_secret(connection: apsw.Connection, provider_id: str, sealed: Sealed | None) -> None:
    values = (None,) * 4 if sealed is None else msgspec.structs.astuple(sealed)
    connection.execute(
        "UPDATE providers SET secret_key_id = ?, secret_salt = ?, secret_nonce = ?, secret_ciphertext = ?"
        " WHERE provider_id = ?",
        (*values, provider_id),
    )
    if not connection.changes():
        raise UnknownRow(f"there is no provider {provider_id!r}")
