"""Whose address a request has, behind balancers. The rule: `x-forwarded-for` counts only as far as it was trusted.

Each proxy appends the address that it saw, so the list is read from its end: as long as the speaker is a trusted
proxy, the address before it is believed. What a client wrote itself stands further left and is never reached.
"""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from appliance.policy.access import Network, read_networks

MOST_HOPS = 16


class Proxies:
    """The trusted proxies; none by default. Raises ValueError with a sentence if one is no address or network."""

    __slots__ = ("_networks",)

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._networks: tuple[Network, ...] = read_networks(texts)

    def client(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The client's address: the peer's, or what a trusted peer says that it saw (all lines of the header count)."""
        if peer is None or not self.trusted(peer):
            return peer
        address = peer
        lines = [value for name, value in headers if name == b"x-forwarded-for"]
        for hop in reversed(b",".join(lines).decode("latin-1").split(",")[-MOST_HOPS:]):
            text = hop.strip().removeprefix("[").partition("]")[0].partition("%")[0]  # a zone is any text at all
            if text.count(":") == 1:  # IPv4 with a port
                text = text.partition(":")[0]
            if not _is_address(text):
                break
            address = text
            if not self.trusted(address):
                break
        return address

    def trusted(self, text: str) -> bool:
        """Whether this address is a trusted proxy's."""
        if not self._networks:
            return False
        address = ip_address(text.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


def neighbourhood(text: str) -> str:
    """Whom an address is counted with: IPv4 with nobody, IPv6 with its /64, all of which one host may own.

    IPv4 written as IPv6 counts as IPv4; what is no address counts as itself.
    """
    if ":" not in text:
        return text
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if not isinstance(address, IPv6Address):
        return text
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{int(address) >> 64:x}/64"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
