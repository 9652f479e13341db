"""Whose address a request has, behind balancers. The rule: `x-forwarded-for` counts only as far as it was trusted.

Each proxy appends the address that it saw, so the list is read from its end: as long as the speaker is a trusted
proxy, the address before it is believed. What a client wrote itself stands further left and is never reached.
"""

from collections.abc import Iterable
from ipaddress import ip_address

from appliance.policy.access import Network, read_networks

MOST_HOPS = 16


class Proxies:
    """The trusted proxies; none by default. Raises ValueError with a sentence if one is no address or network."""

    __slots__ = ("_networks",)

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._networks: tuple[Network, ...] = read_networks(texts)

    def client(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The client's address: the peer's, or what a trusted peer says that it saw (all lines of the header count)."""
        if not self._networks or peer is None or not self._trusted(peer):
            return peer
        address = peer
        lines = [value for name, value in headers if name == b"x-forwarded-for"]
        for hop in reversed(b",".join(lines).decode("latin-1").split(",")[-MOST_HOPS:]):
            text = hop.strip().removeprefix("[").partition("]")[0]
            if text.count(":") == 1:  # IPv4 with a port
                text = text.partition(":")[0]
            if not _is_address(text):
                break
            address = text
            if not self._trusted(address):
                break
        return address

    def _trusted(self, text: str) -> bool:
        address = ip_address(text.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
