"""The stand-ins have the faces of the real ones and nothing to wait for."""

import msgspec
import pytest
import trio
import trio.testing

from appliance.domain.errors import ApplianceFault
from appliance.domain.identity import ApiKey, Organisation
from appliance.store.keys import parse_key, verify
from appliance.store.memory import MemoryDirectory, MemoryLedger
from appliance.store.ports import Directory, Ledger
from tests.archive.records import begun, observed, settled


def test_the_directory_is_built_by_chaining() -> None:
    directory = (
        MemoryDirectory(Organisation("org_test", "test", race_slots=3))
        .with_key("alice", start_within="30s")
        .with_key("root", "management")
        .with_organisation(Organisation("org_b", "b"))
        .with_provider("openai", "sk-one")
        .with_provider("local", "", tiers=())
    )
    face: Directory = directory
    kind, public_id = parse_key(directory.tokens["alice"])
    assert kind == "inference"
    key = face.key(public_id)
    assert verify(directory.tokens["alice"], key)
    assert not verify(directory.tokens["root"], key)
    assert key is not None
    assert key.start_within == "30s"
    assert directory.key_by_id("key_alice") == key
    assert face.organisation("org_test").race_slots == 3
    assert [organisation.name for organisation in directory.organisations()] == ["test", "b"]
    assert [provider.name for provider in face.providers("org_test")] == ["openai", "local"]
    assert [face.secret(provider) for provider in face.providers("org_test")] == ["sk-one", ""]
    assert face.providers("org_b") == ()
    directory.locked = True
    with pytest.raises(ApplianceFault, match="vault_locked"):
        face.secret(face.providers("org_test")[0])
    with pytest.raises(msgspec.ValidationError):
        directory.with_key("bad", created_unix_s="now")


def test_a_revocation_is_seen_and_told() -> None:
    directory = MemoryDirectory().with_key("alice")
    heard: list[ApiKey] = []
    forget = directory.on_change(heard.append)
    directory.revoke("alice", 7)
    assert [key.revoked_unix_s for key in heard] == [7]
    assert directory.keys() == tuple(heard) == directory.keys("org_test")
    forget()
    directory.revoke("alice", 8)
    assert len(heard) == 1


async def test_the_ledger_collects_and_fails_when_told(autojump_clock: trio.testing.MockClock) -> None:
    ledger = MemoryLedger()
    face: Ledger = ledger
    face.check()
    face.begin(begun(1))
    face.settle(settled(1))
    face.observe(observed(1))
    await face.barrier()
    assert (ledger.begun, ledger.settled, ledger.observed) == ([begun(1)], [settled(1)], [observed(1)])
    assert ledger.barriers == 1
    ledger.hold_barriers()
    with trio.move_on_after(2) as scope:
        await face.barrier()
    assert scope.cancelled_caught
    ledger.let_barriers_go()
    await face.barrier()
    ledger.failing = True
    for call in (face.barrier,):
        with pytest.raises(ApplianceFault, match="store_unavailable"):
            await call()
    with pytest.raises(ApplianceFault, match="store_unavailable"):
        face.check()
