"""What a key may do."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import CallerFault
from appliance.domain.identity import ApiKey, KeyKind
from appliance.policy.access import Access, read_networks


def key(
    kind: KeyKind = "inference",
    expires_unix_s: int | None = None,
    revoked_unix_s: int | None = None,
    models: tuple[str, ...] | None = None,
    addresses: tuple[str, ...] | None = None,
) -> ApiKey:
    return ApiKey(
        "key_1", "abcdefghijkl", kind, "org_1", "laptop", b"salt", b"digest", 1000,
        expires_unix_s, revoked_unix_s, None, models, addresses,
    )  # fmt: skip


def code(call: Callable[[], None]) -> str | None:
    try:
        call()
    except CallerFault as fault:
        return fault.code
    return None


CASES: list[tuple[ApiKey, float, str | None, KeyKind, str | None]] = [
    (key(), 2000, "192.0.2.1", "inference", None),
    (key(), 2000, None, "inference", None),
    (key(), 2000, "garbage", "inference", None),
    (key(), 2000, None, "management", "wrong_key_kind"),
    (key("management"), 2000, None, "inference", "wrong_key_kind"),
    (key("management"), 2000, None, "management", None),
    (key(revoked_unix_s=1500), 2000, None, "inference", "revoked_api_key"),
    (key(revoked_unix_s=2500), 2000, None, "inference", "revoked_api_key"),  # a clock set back revives no key
    (key(expires_unix_s=2000), 1999.9, None, "inference", None),
    (key(expires_unix_s=2000), 2000, None, "inference", "expired_api_key"),
    (key(addresses=("10.0.0.0/8",)), 2000, "10.9.8.7", "inference", None),
    (key(addresses=("10.0.0.1/8",)), 2000, "10.9.8.7", "inference", None),
    (key(addresses=("10.0.0.0/8",)), 2000, "11.0.0.1", "inference", "address_not_allowed"),
    (key(addresses=("10.0.0.0/8",)), 2000, None, "inference", "address_not_allowed"),
    (key(addresses=("10.0.0.0/8",)), 2000, "10.0.0.1; drop", "inference", "address_not_allowed"),
    (key(addresses=("10.0.0.0/8",)), 2000, "::ffff:10.1.1.1", "inference", None),
    (key(addresses=("10.0.0.0/8", "2001:db8::/32")), 2000, "2001:db8::5", "inference", None),
    (key(addresses=("2001:db8::5",)), 2000, "2001:db8::6", "inference", "address_not_allowed"),
    (key(addresses=("fe80::/10",)), 2000, "fe80::1%eth0", "inference", None),
    (key(addresses=()), 2000, "10.0.0.1", "inference", "address_not_allowed"),
]


@pytest.mark.parametrize(("held", "now", "address", "kind", "expected"), CASES)
def test_each_restriction_is_refused_with_its_code(
    held: ApiKey, now: float, address: str | None, kind: KeyKind, expected: str | None
) -> None:
    access = Access(held)
    assert code(lambda: access.check(now_unix_s=now, address=address, kind=kind)) == expected


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "example.com", "10.0.0.1-10.0.0.9"])
def test_addresses_are_checked_when_they_are_set(text: str) -> None:
    with pytest.raises(ValueError, match="IPv4 or IPv6"):
        read_networks([text])


@pytest.mark.parametrize(
    ("patterns", "names", "allowed"),
    [
        (None, ("anything",), True),
        ((), ("gpt-5",), False),
        (("gpt-5",), ("gpt-5",), True),
        (("gpt-5",), ("gpt-5-mini",), False),
        (("gpt-5*",), ("gpt-5-mini",), True),
        (("gpt-5*",), ("gpt-5",), True),
        (("gpt-5*",), ("my-gpt-5",), False),
        (("openai/*",), ("gpt-5", "openai/gpt-5"), True),
        (("openai/*",), ("gpt-5", "groq/gpt-5"), False),
        (("*-mini",), ("gpt-5-mini",), True),
        (("gpt-*-mini",), ("gpt-mini",), False),
        (("gpt-*-*-mini",), ("gpt-5-4-mini",), True),
        (("gpt-*.*-mini",), ("gpt-5-4-mini",), False),
        (("*",), ("",), True),
        (("gpt.5",), ("gpt-5",), False),
    ],
)
def test_models(patterns: tuple[str, ...] | None, names: tuple[str, ...], allowed: bool) -> None:
    access = Access(key(models=patterns))
    assert access.allows_model(*names) is allowed
    assert code(lambda: access.check_model(*names)) == (None if allowed else "model_not_allowed")


def regular(pattern: str, name: str) -> bool:
    """The plain definition, slow for bad patterns: a star is any text."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return regular(pattern[1:], name) or (bool(name) and regular(pattern, name[1:]))
    return bool(name) and name[0] == pattern[0] and regular(pattern[1:], name[1:])


@given(st.text("ab*", max_size=7), st.text("ab", max_size=8))
def test_patterns_mean_what_a_star_means(pattern: str, name: str) -> None:
    assert Access(key(models=(pattern,))).allows_model(name) is regular(pattern, name)
