"""Providers are added, changed and removed; a credential is never in the files as it is."""

from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio

from appliance.domain.catalog import Provider
from appliance.store.faults import NameTaken, UnknownRow
from appliance.store.open import Store
from tests.store.opening import bytes_of, opened

CANARY = "sk-canary-provider-credential"


async def draft(store: Store) -> Provider:
    organisation = await store.organisations.create("acme", now_unix_s=1)
    return Provider(
        "", organisation.organisation_id, "openai", "openai", "https://api.example/v1", ("flex", "default"),
        headers=(("x-team", "blue"),), price_as="openai", stream_options=False, abort_billing="full",
    )  # fmt: skip


async def test_a_provider_survives_a_restart_and_its_secret_is_sealed(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        wanted = await draft(store)
        provider = await store.providers.add(wanted, CANARY, now_unix_s=9)
        assert provider == msgspec.structs.replace(
            wanted, provider_id=provider.provider_id, created_unix_s=9, position=1
        )
        assert CANARY not in repr(store.providers.list())
    async with opened(tmp_path) as store:
        assert store.providers.list() == store.providers.list(wanted.organisation_id) == (provider,)
        assert store.directory.secret(provider) == CANARY
        everything = bytes_of(tmp_path)
        assert b"acme" in everything
        assert CANARY.encode() not in everything


async def test_order_names_and_models(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        wanted = await draft(store)
        first = await store.providers.add(wanted, None, now_unix_s=1)
        second = await store.providers.add(msgspec.structs.replace(wanted, name="local"), None, now_unix_s=1)
        assert (first.position, second.position) == (1, 2)
        with pytest.raises(NameTaken):
            await store.providers.add(wanted, None, now_unix_s=1)
        with pytest.raises(NameTaken):
            await store.providers.change(second, name="openai")
        moved = await store.providers.change(second, position=0)
        assert store.providers.list() == (moved, first)
        listed = await store.providers.set_models(first, ("gpt-x",))
        assert store.providers.show(wanted.organisation_id, "openai") == listed
        assert store.providers.show(wanted.organisation_id, first.provider_id).models == ("gpt-x",)
        assert (await store.providers.set_models(listed, None)).models is None


async def test_of_two_changes_at_the_same_time_none_is_lost(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        provider = await store.providers.add(await draft(store), CANARY, now_unix_s=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.providers.set_models, provider, ("a", "b"))
            nursery.start_soon(partial(store.providers.change, provider, tiers=("default",), headers=(("x", "y"),)))
            nursery.start_soon(partial(store.providers.change, provider, "another-credential"))
            nursery.start_soon(partial(store.providers.change, provider, public_only=True))
        (changed,) = store.providers.list()
        assert changed == msgspec.structs.replace(
            provider, models=("a", "b"), tiers=("default",), headers=(("x", "y"),), public_only=True
        )
        assert store.directory.secret(changed) == "another-credential"


async def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        wanted = await draft(store)
        ghost = msgspec.structs.replace(wanted, provider_id="prov_none")
        with pytest.raises(UnknownRow):
            await store.providers.remove(ghost)
        with pytest.raises(UnknownRow):
            await store.providers.set_models(ghost, ())
        with pytest.raises(UnknownRow):
            await store.providers.set_secret(ghost, "x")
        with pytest.raises(UnknownRow):
            store.providers.show(wanted.organisation_id, "none")
        with pytest.raises(UnknownRow):
            await store.providers.add(msgspec.structs.replace(wanted, organisation_id="org_none"), "x", now_unix_s=1)
        assert store.providers.list() == ()
