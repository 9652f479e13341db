"""A sealed credential opens only with its master key and in its row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import ApplianceFault
from appliance.store.vault import Sealed, Vault
from tests.store.opening import seeded

MASTER = bytes(range(32))
PLACE = {"organisation_id": "org_1", "provider_id": "prov_1", "row": "providers.secret"}
CANARY = "sk-canary-9731"


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_round_trip(text: str) -> None:
    vault = Vault(MASTER)
    sealed = vault.seal(text, **PLACE, random=seeded())
    assert Vault(MASTER).opener(sealed, **PLACE)() == text


def test_each_sealing_has_its_own_salt_and_nonce() -> None:
    random = seeded()
    one, other = (Vault(MASTER).seal(CANARY, **PLACE, random=random) for _ in range(2))
    assert one.salt != other.salt
    assert one.nonce != other.nonce
    assert one.ciphertext != other.ciphertext


@pytest.mark.parametrize("field", list(PLACE))
def test_a_ciphertext_moved_elsewhere_stays_shut(field: str) -> None:
    vault = Vault(MASTER)
    sealed = vault.seal(CANARY, **PLACE, random=seeded())
    with pytest.raises(ApplianceFault, match="vault_locked"):
        vault.opener(sealed, **(PLACE | {field: "another"}))()


@pytest.mark.parametrize("field", ["salt", "nonce", "ciphertext"])
def test_a_changed_byte_keeps_it_shut(field: str) -> None:
    vault = Vault(MASTER)
    sealed = vault.seal(CANARY, **PLACE, random=seeded())
    fields = {name: getattr(sealed, name) for name in ("key_id", "salt", "nonce", "ciphertext")}
    fields[field] = bytes([fields[field][0] ^ 1]) + fields[field][1:]
    with pytest.raises(ApplianceFault, match="vault_locked"):
        vault.opener(Sealed(**fields), **PLACE)()


def test_another_master_key_is_told_by_its_id_and_check_value() -> None:
    mine, other = Vault(MASTER), Vault(bytes(32))
    assert mine.key_id != other.key_id
    check = mine.check_value(b"salt")
    assert mine.matches(b"salt", check)
    assert not other.matches(b"salt", check)
    assert not mine.matches(b"pepper", check)
    with pytest.raises(ApplianceFault, match="vault_locked"):
        other.opener(mine.seal(CANARY, **PLACE, random=seeded()), **PLACE)


def test_nothing_shows_a_secret() -> None:
    vault = Vault(MASTER)
    sealed = vault.seal(CANARY, **PLACE, random=seeded())
    for thing in (vault, sealed, vault.opener(sealed, **PLACE)):
        shown = f"{thing!r} {thing}"
        assert CANARY not in shown
        assert MASTER.hex() not in shown
        assert repr(MASTER)[2:12] not in shown
