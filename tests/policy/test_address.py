"""Only what trusted proxies say of a client's address counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.policy.address import Proxies, neighbourhood

BALANCERS = Proxies(("10.0.0.0/8", "2001:db8::/32"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", b"203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", b"6.6.6.6, 203.0.113.7", "203.0.113.7"),  # the left one is what the client wrote
        ("10.0.0.1", b"203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", b"10.0.0.3, 10.0.0.2", "10.0.0.3"),  # a client within the trusted network
        ("::ffff:10.0.0.1", b"203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", b"2001:4860::8888", "2001:4860::8888"),
        ("10.0.0.1", b"203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.1", b"[2001:4860::8888]:4711", "2001:4860::8888"),
        ("10.0.0.1", b"203.0.113.7, unknown", "10.0.0.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("203.0.113.9", b"10.0.0.1", "203.0.113.9"),  # a stranger's word
        (None, b"203.0.113.7", None),  # the Unix socket
    ],
)
def test_the_list_is_believed_as_far_as_its_speakers_are_trusted(
    peer: str | None, forwarded_for: bytes | None, client: str | None
) -> None:
    headers = [] if forwarded_for is None else [(b"host", b"a"), (b"x-forwarded-for", forwarded_for)]
    assert BALANCERS.client(peer, headers) == client


def test_a_line_that_the_client_put_in_front_does_not_hide_the_proxys() -> None:
    lines = [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"203.0.113.7")]
    assert BALANCERS.client("10.0.0.1", lines) == "203.0.113.7"


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert Proxies(()).client("10.0.0.1", [(b"x-forwarded-for", b"203.0.113.7")]) == "10.0.0.1"


def test_a_proxy_that_is_no_address_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="address"):
        Proxies(("balancer",))


@given(st.binary(max_size=60))
def test_no_header_does_harm(header: bytes) -> None:
    assert BALANCERS.client("10.0.0.1", [(b"x-forwarded-for", header)])


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("2001:db8::1", "2001:db8::ffff:0:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8", False),
        ("unknown:", "unknown;", False),
    ],
)
def test_an_address_is_counted_with_what_one_host_may_own(one: str, other: str, together: bool) -> None:
    assert (neighbourhood(one) == neighbourhood(other)) is together
