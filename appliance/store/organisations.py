"""Changes of organisations and their API keys. The rule: a change is one transaction, visible when it returns.

Times (`now_unix_s`) and random bytes come in as arguments; a key's text is returned once and kept nowhere.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import apsw
import msgspec

from appliance.domain.identity import ApiKey, KeyKind, Organisation
from appliance.domain.ids import record_id
from appliance.store.directory import StoreDirectory, columns
from appliance.store.faults import NameTaken, UnknownRow
from appliance.store.keys import PUBLIC_ID_RANDOM_BYTES, SALT_BYTES, SECRET_RANDOM_BYTES, digest, make_token

T = TypeVar("T")
Random = Callable[[int], bytes]
_ID_RANDOM_BYTES = 9
_OWN = frozenset({"key_id", "public_id", "salt", "digest", "created_unix_s"})
"""What a key does not share with the one that it replaces."""

MERGED = {"aliases": "aliases = json_patch(aliases, ?)"}
"""Tables that are changed row by row; a null takes a row away (RFC 7396)."""


class Change(Protocol):
    """Runs a function as one transaction and brings the directory up to date before it returns."""

    async def __call__(self, function: Callable[[apsw.Connection], T]) -> T:
        """Raises what the function raises, or ApplianceFault("store_unavailable")."""
        ...


def insert(connection: apsw.Connection, table: str, value: msgspec.Struct) -> None:
    """Insert a struct into a table whose columns bear its fields' names."""
    names, values = columns(value)
    connection.execute(
        f"INSERT INTO {table}({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608 - our own names
        values,
    )


def update(
    connection: apsw.Connection, table: str, value: msgspec.Struct, fields: Mapping[str, object], where: str = "TRUE"
) -> bool:
    """Change these columns of a struct's row, which its first field names; whether there was one, and `where` held.

    Only what is named is written, so that of two changes at the same time none is lost.
    """
    names, values = columns(value, fields)
    own, identity = value.__struct_fields__[0], msgspec.structs.astuple(value)[0]
    changes = ", ".join(MERGED.get(name, f"{name} = ?") for name in (own, *names))
    statement = f"UPDATE {table} SET {changes} WHERE {own} = ? AND {where}"  # noqa: S608 - our own names
    connection.execute(statement, (identity, *values, identity))
    return connection.changes() > 0


class Organisations:
    """Tenants."""

    def __init__(self, change: Change, directory: StoreDirectory, random: Random) -> None:
        self._change = change
        self._directory = directory
        self._random = random

    async def create(
        self,
        name: str,
        *,
        now_unix_s: int,
        start_within: str | None = None,
        race_slots: int | None = None,
        start_target: float | None = None,
        finish_within: str | None = None,
        explore: bool = True,
    ) -> Organisation:
        """Make an organisation. Raises NameTaken."""
        made = record_id("org", self._random(_ID_RANDOM_BYTES))
        organisation = Organisation(
            made, name, start_within, race_slots, now_unix_s, {}, start_target, finish_within, explore
        )

        def work(connection: apsw.Connection) -> None:
            if connection.execute("SELECT count(*) FROM organisations WHERE name = ?", (name,)).get:
                raise NameTaken(f"there is an organisation named {name!r} already")
            insert(connection, "organisations", organisation)

        await self._change(work)
        return organisation

    def list(self) -> tuple[Organisation, ...]:
        """All, oldest first."""
        return self._directory.organisations()

    def show(self, name_or_id: str) -> Organisation:
        """One organisation, by its name or id. Raises UnknownRow."""
        for organisation in self._directory.organisations():
            if name_or_id in (organisation.name, organisation.organisation_id):
                return organisation
        raise UnknownRow(f"there is no organisation {name_or_id!r}")

    async def change(self, organisation: Organisation, **fields: object) -> Organisation:
        """Store these fields of an organisation; the others stay as they are. Raises UnknownRow, NameTaken.

        Only what is named is written, so that of two changes at the same time none is lost; of `aliases` too, where
        None takes a name away.
        """

        def work(connection: apsw.Connection) -> None:
            try:
                found = update(connection, "organisations", organisation, fields)
            except apsw.ConstraintError:
                raise NameTaken(f"there is an organisation named {fields.get('name')!r} already") from None
            if not found:
                raise UnknownRow(f"there is no organisation {organisation.organisation_id!r}")

        await self._change(work)
        return self.show(organisation.organisation_id)


class ApiKeys:
    """The keys of all organisations. Ids may be key ids or public ids."""

    def __init__(self, change: Change, directory: StoreDirectory, random: Random) -> None:
        self._change = change
        self._directory = directory
        self._random = random

    async def create(
        self,
        organisation_id: str,
        kind: KeyKind,
        name: str,
        *,
        now_unix_s: int,
        expires_unix_s: int | None = None,
        start_within: str | None = None,
        models: tuple[str, ...] | None = None,
        addresses: tuple[str, ...] | None = None,
        priority: bool = False,
        started_at: str = "output",
        start_target: float | None = None,
        finish_within: str | None = None,
        preset: str | None = None,
        ladder: tuple[str, ...] | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key: the key, and its text, which nothing can show again. Raises UnknownRow."""
        model = msgspec.convert(
            {
                "key_id": "", "public_id": "", "kind": kind, "organisation_id": organisation_id, "name": name,
                "salt": b"", "digest": b"", "created_unix_s": now_unix_s, "expires_unix_s": expires_unix_s,
                "start_within": start_within, "models": models, "addresses": addresses, "priority": priority,
                "started_at": started_at, "start_target": start_target, "finish_within": finish_within,
                "preset": preset, "ladder": ladder,
            },
            ApiKey,
        )  # fmt: skip
        key, token = self._with_secret(model)

        def work(connection: apsw.Connection) -> None:
            owner = (organisation_id,)
            if not connection.execute("SELECT count(*) FROM organisations WHERE organisation_id = ?", owner).get:
                raise UnknownRow(f"there is no organisation {organisation_id!r}")
            insert(connection, "api_keys", key)

        await self._change(work)
        return key, token

    def list(self, organisation_id: str | None = None) -> tuple[ApiKey, ...]:
        """The keys of an organisation, or all, oldest first."""
        return self._directory.keys(organisation_id)

    def show(self, key_id: str) -> ApiKey:
        """One key. Raises UnknownRow."""
        if (key := self._directory.key_by_id(key_id)) is None:
            raise UnknownRow(f"there is no key {key_id!r}")
        return key

    async def change(self, key: ApiKey, **fields: object) -> ApiKey:
        """Store these fields of a key; the others stay as they are. Raises UnknownRow, also for one that is revoked."""

        def work(connection: apsw.Connection) -> None:
            if not update(connection, "api_keys", key, fields, "revoked_unix_s IS NULL"):
                raise UnknownRow(f"there is no valid key {key.key_id!r}")

        await self._change(work)
        return self.show(key.key_id)

    async def rotate(self, key_id: str, *, now_unix_s: int, grace_s: int = 0) -> tuple[ApiKey, str]:
        """Make a key with the same settings; the old one is valid for `grace_s` more, or revoked at once if that is 0.

        Raises UnknownRow, also for a key that is revoked or expired.
        """
        old = self.show(key_id)
        gone = UnknownRow(f"the key {key_id!r} is not valid any more; make a new one")
        if old.revoked_unix_s is not None or (old.expires_unix_s is not None and old.expires_unix_s <= now_unix_s):
            raise gone
        key, token = self._with_secret(msgspec.structs.replace(old, created_unix_s=now_unix_s))
        ends = now_unix_s + grace_s if old.expires_unix_s is None else min(old.expires_unix_s, now_unix_s + grace_s)

        def work(connection: apsw.Connection) -> None:
            valid = "SELECT count(*) FROM api_keys WHERE key_id = ? AND revoked_unix_s IS NULL"
            if not connection.execute(valid, (old.key_id,)).get:
                raise gone
            insert(connection, "api_keys", key)
            connection.execute("UPDATE api_keys SET rotated_from = ? WHERE key_id = ?", (old.key_id, key.key_id))
            # as the old one is by now: a change may have come since it was read
            shared = ", ".join(name for name in ApiKey.__struct_fields__ if name not in _OWN)
            connection.execute(
                f"UPDATE api_keys SET ({shared}) = (SELECT {shared} FROM api_keys WHERE key_id = ?) WHERE key_id = ?",  # noqa: S608
                (old.key_id, key.key_id),
            )
            column = "expires_unix_s" if grace_s > 0 else "revoked_unix_s"
            connection.execute(
                f"UPDATE api_keys SET {column} = ? WHERE key_id = ? AND revoked_unix_s IS NULL",  # noqa: S608
                (ends if grace_s > 0 else now_unix_s, old.key_id),
            )

        await self._change(work)
        return self.show(key.key_id), token

    async def revoke(self, key_id: str, *, now_unix_s: int) -> ApiKey:
        """Revoke a key, at once and for good; again is no error. Raises UnknownRow."""
        key = self.show(key_id)

        def work(connection: apsw.Connection) -> None:
            connection.execute(
                "UPDATE api_keys SET revoked_unix_s = ? WHERE key_id = ? AND revoked_unix_s IS NULL",
                (now_unix_s, key.key_id),
            )

        await self._change(work)
        return self.show(key.key_id)

    def _with_secret(self, model: ApiKey) -> tuple[ApiKey, str]:
        public_id, token = make_token(model.kind, self._random(PUBLIC_ID_RANDOM_BYTES + SECRET_RANDOM_BYTES))
        salt = self._random(SALT_BYTES)
        key_id = record_id("key", self._random(_ID_RANDOM_BYTES))
        key = msgspec.structs.replace(model, key_id=key_id, public_id=public_id, salt=salt, digest=digest(salt, token))
        return key, token
