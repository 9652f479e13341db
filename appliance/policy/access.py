"""What a key may do: when, from where, with which models. The rule: whatever is restricted and not told is refused.

That the key is the right one was checked before (its digest); these are the restrictions that its owner set.
"""

import ipaddress
from collections.abc import Iterable

from appliance.domain.errors import CallerFault
from appliance.domain.identity import ApiKey, KeyKind

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Access:
    """One key's restrictions, compiled; make it once per key, not per request.

    Raises ValueError with a sentence if an allowed address is neither an address nor a network.
    """

    __slots__ = ("_networks", "_patterns", "key")

    def __init__(self, key: ApiKey) -> None:
        self.key = key
        self._networks = None if key.addresses is None else read_networks(key.addresses)
        self._patterns = None if key.models is None else tuple(pattern.split("*") for pattern in key.models)

    def check(self, *, now_unix_s: float, address: str | None, kind: KeyKind = "inference") -> None:
        """Passes if the key is of this kind, valid now and allowed from this address; else raises CallerFault.

        `address` None: not told (a Unix socket); refused where addresses are restricted. Codes: wrong_key_kind,
        revoked_api_key, expired_api_key, address_not_allowed.
        """
        _check_times(self.key, now_unix_s, kind)
        if self._networks is not None and not _within(address, self._networks):
            raise CallerFault("address_not_allowed")

    def allows_model(self, *names: str) -> bool:
        """Whether any of the names (a model's bare id, and `provider/model`) is allowed."""
        if self._patterns is None:
            return True
        return any(_matches(parts, name) for name in names for parts in self._patterns)

    def check_model(self, *names: str) -> None:
        """Passes if any of the model's names is allowed; else raises CallerFault model_not_allowed."""
        if self._patterns is not None and not self.allows_model(*names):
            raise CallerFault("model_not_allowed", param="model")


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks (`10.0.0.0/8`, `2001:db8::1`), host bits ignored. Raises ValueError with a sentence."""
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            raise ValueError("an allowed address must be an IPv4 or IPv6 address or network, e.g. 10.0.0.0/8") from None
    return tuple(networks)


def _check_times(key: ApiKey, now_unix_s: float, kind: KeyKind) -> None:
    if key.kind != kind:
        raise CallerFault("wrong_key_kind")
    if key.revoked_unix_s is not None:
        raise CallerFault("revoked_api_key")
    if key.expires_unix_s is not None and now_unix_s >= key.expires_unix_s:
        raise CallerFault("expired_api_key")


def _within(text: str | None, networks: tuple[Network, ...]) -> bool:
    """Whether an address lies in one of the networks; IPv4 written as IPv6 counts as IPv4, zones are ignored."""
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


def _matches(parts: list[str], name: str) -> bool:
    """Whether `name` is the parts with anything between them; linear, whatever the pattern."""
    if len(parts) == 1:
        return name == parts[0]
    first, *middle, last = parts
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
