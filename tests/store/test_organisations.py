"""Keys are made, rotated and revoked; each change is whole and outlives a restart."""

from collections.abc import Awaitable, Callable
from functools import partial
from os import urandom
from pathlib import Path
from typing import TypeVar

import apsw
import msgspec
import pytest
import trio

from appliance.domain.identity import ApiKey, Organisation
from appliance.store.faults import NameTaken, UnknownRow
from appliance.store.keys import parse_key, verify
from appliance.store.organisations import ApiKeys
from tests.store.opening import NOW_UNIX_S, bytes_of, opened, with_key

T = TypeVar("T")


async def test_a_key_works_and_survives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert store.first_start
        organisation = await store.organisations.create("acme", now_unix_s=5, start_within="30s", race_slots=7)
        key, token = await store.api_keys.create(
            organisation.organisation_id, "management", "ci", now_unix_s=6, expires_unix_s=99, start_within="flex",
            models=("gpt-x", "gpt-y"), addresses=("10.0.0.0/8",), priority=True, started_at="content",
        )  # fmt: skip
    async with opened(tmp_path) as store:
        assert not store.first_start
        assert store.organisations.list() == (organisation,)
        assert store.api_keys.list() == (key,)
        kind, public_id = parse_key(token)
        assert kind == "management"
        assert verify(token, store.directory.key(public_id))
        assert (key.models, key.addresses, key.priority) == (("gpt-x", "gpt-y"), ("10.0.0.0/8",), True)
    everything = bytes_of(tmp_path)
    assert token.encode()[19:62] not in everything


async def test_names_of_organisations_are_unique(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.organisations.create("acme", now_unix_s=1)
        with pytest.raises(NameTaken):
            await store.organisations.create("acme", now_unix_s=1)
        assert len(store.organisations.list()) == 1


async def test_the_first_stays_the_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        made = [await store.organisations.create(name, now_unix_s=1) for name in ("default", "acme", "zeta")]
        assert list(store.organisations.list()) == made, "made within one second"


async def test_settings_of_an_organisation_change_and_survive_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        other = await store.organisations.create("other", now_unix_s=1, start_within="flex")
        made = await store.organisations.create("acme", now_unix_s=2)
        changed = await store.organisations.change(made, name="acme-2", start_within="30s", race_slots=0)
        assert changed == msgspec.structs.replace(made, name="acme-2", start_within="30s", race_slots=0)
        assert store.organisations.show("acme-2") == store.organisations.show(made.organisation_id) == changed
        assert store.directory.organisation(made.organisation_id) == changed
        with pytest.raises(NameTaken):
            await store.organisations.change(changed, name="other")
    async with opened(tmp_path) as store:
        assert store.organisations.list() == (other, changed)
        cleared = msgspec.structs.replace(changed, start_within=None, race_slots=None)
        assert await store.organisations.change(changed, start_within=None, race_slots=None) == cleared
        assert store.organisations.show("acme-2") == cleared


async def test_of_two_changes_at_the_same_time_none_is_lost(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        made = await store.organisations.create("acme", now_unix_s=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(store.organisations.change, made, start_within="30s"))
            nursery.start_soon(partial(store.organisations.change, made, race_slots=7))
        after = store.organisations.show("acme")
        assert (after.start_within, after.race_slots) == ("30s", 7)


async def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        with pytest.raises(UnknownRow):
            await store.api_keys.create("org_none", "inference", "x", now_unix_s=1)
        for action in (store.api_keys.rotate, store.api_keys.revoke):
            with pytest.raises(UnknownRow):
                await action("key_none", now_unix_s=1)
        with pytest.raises(UnknownRow):
            store.api_keys.show("key_none")
        with pytest.raises(UnknownRow):
            store.organisations.show("nobody")
        with pytest.raises(UnknownRow):
            await store.organisations.change(Organisation("org_none", "x"))


async def test_of_two_changes_of_a_key_none_is_lost_and_both_are_found_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        key, token = await with_key(store)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(store.api_keys.change, key, start_within="30s", ladder=("p/m:flex",)))
            nursery.start_soon(partial(store.api_keys.change, key, preset="night"))
        after = store.directory.key(key.public_id)
        assert after == msgspec.structs.replace(key, start_within="30s", ladder=("p/m:flex",), preset="night")
        assert verify(token, after)
        with pytest.raises(UnknownRow):
            await store.api_keys.change(msgspec.structs.replace(key, key_id="key_none"), preset=None)
    async with opened(tmp_path) as store:
        assert store.directory.key(key.public_id) == after


async def test_settings_of_a_wrong_form_are_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        key, _ = await with_key(store)
        with pytest.raises(msgspec.ValidationError):
            await store.api_keys.create(key.organisation_id, "root", "x", now_unix_s=1)  # type: ignore[arg-type]


async def test_rotation_keeps_settings_and_ends_the_old_key(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        old, old_token = await with_key(store)
        new, token = await store.api_keys.rotate(old.key_id, now_unix_s=NOW_UNIX_S + 10)
        assert token != old_token
        assert verify(token, store.directory.key(new.public_id))
        assert (new.name, new.organisation_id, new.kind) == (old.name, old.organisation_id, old.kind)
        assert store.api_keys.show(old.key_id).revoked_unix_s == NOW_UNIX_S + 10
        with pytest.raises(UnknownRow, match="not valid"):
            await store.api_keys.rotate(old.key_id, now_unix_s=NOW_UNIX_S + 11)


async def test_rotation_goes_by_what_the_old_key_is_by_then(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        old, _ = await with_key(store)

        async def rotated(before: Callable[[], Awaitable[object]]) -> ApiKey:
            """Another change comes between the look at the old key and the rotation."""

            async def change(function: Callable[[apsw.Connection], T]) -> T:
                await before()
                return await store.change(function)

            new, _ = await ApiKeys(change, store.directory, urandom).rotate(old.key_id, now_unix_s=NOW_UNIX_S)
            return new

        change = partial(store.api_keys.change, old, start_within="30s", ladder=("p/m:flex",))
        new = await rotated(change)
        assert (new.start_within, new.ladder, new.revoked_unix_s) == ("30s", ("p/m:flex",), None)
        with pytest.raises(UnknownRow):
            await change()
        old, count = new, len(store.api_keys.list())
        with pytest.raises(UnknownRow):
            await rotated(partial(store.api_keys.revoke, old.key_id, now_unix_s=NOW_UNIX_S + 1))
        assert len(store.api_keys.list()) == count, "a revoked key has no heir"


async def test_rotation_with_grace_lets_the_old_key_expire(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        old, _ = await with_key(store)
        new, _ = await store.api_keys.rotate(old.key_id, now_unix_s=NOW_UNIX_S, grace_s=60)
        shown = store.api_keys.show(old.public_id)
        assert (shown.revoked_unix_s, shown.expires_unix_s) == (None, NOW_UNIX_S + 60)
        assert new.expires_unix_s is None
        with pytest.raises(UnknownRow):
            await store.api_keys.rotate(old.key_id, now_unix_s=NOW_UNIX_S + 60)


async def test_grace_never_prolongs_a_key(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first, _ = await with_key(store)
        old, _ = await store.api_keys.create(
            first.organisation_id, "inference", "short", now_unix_s=NOW_UNIX_S, expires_unix_s=NOW_UNIX_S + 30
        )
        await store.api_keys.rotate(old.key_id, now_unix_s=NOW_UNIX_S, grace_s=60)
        assert store.api_keys.show(old.key_id).expires_unix_s == NOW_UNIX_S + 30


async def test_the_time_of_the_first_revocation_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        key, _ = await with_key(store)
        await store.api_keys.revoke(key.public_id, now_unix_s=NOW_UNIX_S + 1)
        assert (await store.api_keys.revoke(key.key_id, now_unix_s=NOW_UNIX_S + 2)).revoked_unix_s == NOW_UNIX_S + 1
