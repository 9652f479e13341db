"""Which addresses anybody but the operator may have us connect to. The rule: public ones, judged as numbers.

The text of a URL is not judged: `0x7f.1`, `2130706433`, `localhost.` and a name that answers with another address each
time are all the same in the end, an address that is about to be connected to. So the judgement is about that address.

Refused are all blocks of IANA's special-purpose registries (RFC 6890 and its updates), multicast, and what is public in
form but means the machine's own cloud. An IPv6 address that only wraps an IPv4 one (mapped, NAT64 by its well-known
prefix) is judged by the one inside; 6to4, Teredo, ISATAP and IPv4-compatible ones, which nobody serves at, are refused.
Not seen: a NAT64 prefix of the operator's own network, which looks like any public address (RFC 6052, 2.2).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NOT_PUBLIC_4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network; 0.0.0.0 is this machine
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; one cloud has its metadata here
        "127.0.0.0/8",
        "168.63.129.16/32",  # public in form; in Azure it is the host's own services
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def is_public(address: str) -> bool:
    """Whether an address, as a resolver or a socket writes it, is public. What is no address is not."""
    if "%" in address:  # a zone: the address means something on one link alone
        return False
    try:
        number = ip_address(address)
    except ValueError:
        return False
    return _public_4(number) if isinstance(number, IPv4Address) else _public_6(number)


def is_address(host: str) -> bool:
    """Whether a URL's host is an address and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _public_4(address: IPv4Address) -> bool:
    return not any(address in block for block in _NOT_PUBLIC_4)


def _public_6(address: IPv6Address) -> bool:
    if address in _MAPPED or address in _NAT64:
        return _public_4(IPv4Address(int(address) & 0xFFFF_FFFF))
    if int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
        return False
    return address in _UNICAST_6 and not any(address in block for block in _NOT_PUBLIC_6)


def is_odd_host(host: str) -> bool:
    """Whether a URL's host is a number in a spelling that only some programs read as an address (`0x7f.1`, `017.1`)."""
    if ":" in host:
        return "%" in host
    last = host.rstrip(".").rpartition(".")[2]
    numeric = last.isdecimal() or last[:2].lower() == "0x"
    if not numeric:
        return False
    try:
        return str(IPv4Address(host)) != host
    except ValueError:
        return True
