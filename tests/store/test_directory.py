"""The directory shows a change as soon as it is committed, and tells whose key it was."""

from pathlib import Path

import msgspec
import pytest

from appliance.domain.catalog import Provider
from appliance.domain.errors import ApplianceFault
from appliance.domain.identity import ApiKey, Organisation
from appliance.store.directory import Snapshot, StoreDirectory
from appliance.store.vault import Vault
from tests.store.opening import NOW_UNIX_S, opened, with_key


def key(name: str, **changes: object) -> ApiKey:
    fields: dict[str, object] = {
        "key_id": f"key_{name}", "public_id": name, "kind": "inference", "organisation_id": "org_1", "name": name,
        "salt": b"s", "digest": b"d", "created_unix_s": 1,
    } | changes  # fmt: skip
    return msgspec.convert(fields, ApiKey)


def snapshot(*keys: ApiKey) -> Snapshot:
    return Snapshot({"org_1": Organisation("org_1", "acme")}, {one.public_id: one for one in keys}, {}, {})


def test_only_changed_keys_are_told_and_a_failing_subscriber_harms_nobody() -> None:
    directory = StoreDirectory(Vault(bytes(32)), snapshot(key("a"), key("b")))
    heard: list[ApiKey] = []

    def failing(changed: ApiKey) -> None:
        raise RuntimeError

    directory.on_change(failing)
    forget = directory.on_change(heard.append)
    revoked = key("a", revoked_unix_s=5)
    directory.replace(snapshot(revoked, key("b"), key("c")))
    assert heard == [revoked]
    assert directory.generation == 1
    forget()
    directory.replace(snapshot(key("a"), key("b")))
    assert heard == [revoked]


def test_lookups() -> None:
    one, other = key("a"), key("b", organisation_id="org_2")
    directory = StoreDirectory(Vault(bytes(32)), snapshot(one, other))
    assert directory.key("a") == one
    assert directory.key("x") is None
    assert directory.key_by_id("key_b") == directory.key_by_id("b") == other
    assert directory.keys() == (one, other)
    assert directory.keys("org_2") == (other,)
    assert directory.organisation("org_1").name == "acme"
    assert [organisation.name for organisation in directory.organisations()] == ["acme"]
    assert directory.providers("org_1") == ()
    with pytest.raises(KeyError):
        directory.organisation("org_9")


async def test_a_revoked_key_is_seen_at_once_and_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        created, _ = await with_key(store)
        heard: list[ApiKey] = []
        store.directory.on_change(heard.append)
        await store.api_keys.revoke(created.key_id, now_unix_s=NOW_UNIX_S + 1)
        seen = store.directory.key(created.public_id)
        assert seen is not None
        assert seen.revoked_unix_s == NOW_UNIX_S + 1
        assert heard == [seen]


async def test_a_secret_follows_its_row(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        created, _ = await with_key(store)
        draft = Provider("", created.organisation_id, "openai", "openai", "https://api.example/v1")
        provider = await store.providers.add(draft, "sk-first", now_unix_s=1)
        assert store.directory.secret(provider) == "sk-first"
        await store.providers.set_secret(provider, "sk-second")
        assert store.directory.secret(provider) == "sk-second"
        local = await store.providers.add(msgspec.structs.replace(draft, name="local"), None, now_unix_s=1)
        assert store.directory.secret(local) == ""
        assert [store.directory.has_secret(one) for one in (provider, local)] == [True, False]
        await store.providers.remove(provider)
        assert store.directory.providers(created.organisation_id) == (local,)


async def test_a_ciphertext_swapped_between_rows_stays_shut(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        created, _ = await with_key(store)
        draft = Provider("", created.organisation_id, "one", "openai", "https://api.example/v1")
        one = await store.providers.add(draft, "sk-one", now_unix_s=1)
        await store.providers.add(msgspec.structs.replace(draft, name="two"), "sk-two", now_unix_s=1)
        await store.change(
            lambda connection: connection.execute(
                "UPDATE providers SET (secret_salt, secret_nonce, secret_ciphertext) = (SELECT secret_salt,"
                " secret_nonce, secret_ciphertext FROM providers WHERE name = 'two') WHERE name = 'one'"
            ).close()
        )
        with pytest.raises(ApplianceFault, match="vault_locked"):
            store.directory.secret(one)
