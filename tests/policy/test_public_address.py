"""Public addresses, judged as numbers; every block that is not, at its ends and just outside of them."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.policy.public_address import is_odd_host, is_public

PUBLIC = (
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
    "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2606:4700:4700::1111", "2a00:1450:4001::1", "2620:0:2d0:200::7", "2003::1", "2001:4860:4860::8888",
    "::ffff:8.8.8.8", "64:ff9b::808:808",
)  # fmt: skip
NOT_PUBLIC = (
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.0.0", "169.254.169.254", "169.254.170.2", "172.16.0.0",
    "172.31.255.255", "192.0.0.0", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255",
    "198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255",
    "::", "::1", "::7f00:1", "::808:808", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1", "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1",
    "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2a00::1%1",
    "fec0::1", "ff02::1", "2a00:1450::5efe:10.0.0.1", "2a00:1450::200:5efe:10.0.0.1",
    "", "localhost", "example.com", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.", " 8.8.8.8", "8.8.8.8 ",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.integers(0, 2**32 - 1))
def test_a_wrapped_address_is_judged_by_what_it_wraps(number: int) -> None:
    inner = is_public(str(IPv4Address(number)))
    for prefix in (0xFFFF << 32, 0x0064_FF9B << 96):
        assert is_public(str(IPv6Address(prefix | number))) == inner
    for refused in (number, 0x2002 << 112 | number << 80 | 1):
        assert not is_public(str(IPv6Address(refused)))


@given(st.one_of(st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)))
def test_nothing_is_public_that_the_standard_library_calls_private(address: IPv4Address | IPv6Address) -> None:
    """An independent list; it knows less than ours, and is asked about the inner address of a NAT64 one too."""
    if is_public(str(address)):
        inner = ip_address(int(address) & 0xFFFF_FFFF) if str(address).startswith("64:ff9b::") else address
        assert not (inner.is_private or inner.is_loopback or inner.is_link_local or inner.is_multicast)
        assert not (inner.is_reserved or inner.is_unspecified)


@given(st.sampled_from(["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]), st.data())
def test_every_address_of_a_private_network(block: str, data: st.DataObject) -> None:
    network = IPv4Network(block)
    assert not is_public(str(network[data.draw(st.integers(0, network.num_addresses - 1))]))


@pytest.mark.parametrize(
    ("host", "odd"),
    [
        ("example.com", False), ("api.1e100.net", False), ("8.8.8.8", False), ("2001:db8::1", False),
        ("a.b.c.x1", False), ("10.0.0.1", False), ("localhost", False),
        ("127.1", True), ("0x7f.1", True), ("2130706433", True), ("0x7f000001", True), ("0177.0.0.1", True),
        ("8.8.8.8.", True), ("127.0.0.1..", True), ("1.2.3.4.5", True), ("example.0x1", True), ("fe80::1%eth0", True),
    ],
)  # fmt: skip
def test_odd_spellings_of_numbers(host: str, odd: bool) -> None:
    assert is_odd_host(host) is odd
