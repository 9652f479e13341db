"""Addresses of names: in threads of its own, kept for a while. The rule: one name's trouble is no other name's.

`socket.getaddrinfo` cannot be interrupted: a name whose server hangs keeps its thread for half a minute. So a name gets
few threads at a time and all names together a bounded number, and whoever asks for a name that is being looked up
waits for that answer. An address that was good lately is used on when the resolver fails or takes too long.
"""

import socket
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import trio

THREADS_PER_NAME = 2
MOST_THREADS = 64
MOST_NAMES = 1024

STALE_S = 3600.0
"""An address is used on for so long after its time, where the resolver gives no other."""

STALE_AFTER_S = 1.0
"""How long the resolver gets before the old address is used."""

_FINAL = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""Answers that the name is not there, which no old address gainsays."""


class Address(NamedTuple):
    """What a socket is made of and connected to; `sockaddr[0]` is the address as text."""

    family: int
    kind: int
    protocol: int
    sockaddr: tuple[Any, ...]


Lookup = Callable[..., Sequence[tuple[Any, ...]]]
"""socket.getaddrinfo, or what stands in for it."""

Name = tuple[str, int]


class _Known(NamedTuple):
    found_s: float
    until_s: float
    addresses: tuple[Address, ...]


def _addresses(found: Sequence[tuple[Any, ...]]) -> tuple[Address, ...]:
    return tuple(Address(row[0], row[1], row[2], row[4]) for row in found)


def _numeric(host: str, port: int) -> tuple[Address, ...] | None:
    """What a number means, in any spelling that the system reads: that needs no thread."""
    try:
        return _addresses(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        return None


class Resolver:
    """Looks names up. `cache_s`: how long an answer is kept; 0: never."""

    def __init__(self, cache_s: float, lookup: Lookup = socket.getaddrinfo) -> None:
        self._cache_s = cache_s
        self._lookup = lookup
        self._known: dict[Name, _Known] = {}
        self._threads: dict[str, trio.CapacityLimiter] = {}
        self._asking: dict[Name, trio.Event] = {}
        self._failed: dict[Name, socket.gaierror] = {}

    async def find(self, host: str, port: int) -> tuple[Address, ...]:
        """The addresses to connect to, in the resolver's order. Raises socket.gaierror, UnicodeError."""
        if (numeric := _numeric(host, port)) is not None:
            return numeric
        name = (host, port)
        while True:
            known = self._known.get(name)
            if known is not None and known.until_s > trio.current_time():
                return known.addresses
            asking = self._asking.get(name)
            if asking is None:
                return await self._ask(name, known)
            await asking.wait()
            failed = self._failed.get(name)
            if failed is not None:
                raise socket.gaierror(*failed.args)
            if not self._cache_s:
                return await self._ask(name, None)

    async def _ask(self, name: Name, known: _Known | None) -> tuple[Address, ...]:
        """Ask for all who wait; whoever is cancelled leaves it to the next of them."""
        done = self._asking[name] = trio.Event()
        self._failed.pop(name, None)
        try:
            if known is None or trio.current_time() - known.found_s > STALE_S:
                known = None
            fresh = await (self._in_thread(name) if known is None else self._fresh(name))
        except socket.gaierror as fault:
            self._failed[name] = fault
            raise
        else:
            now = trio.current_time()
            if fresh is not None or known is None:
                known = _Known(now, now + self._cache_s, fresh or ())
            else:
                known = known._replace(until_s=now + self._cache_s)
            self._keep(name, known)
            return known.addresses
        finally:
            done.set()
            if self._asking.get(name) is done:
                del self._asking[name]
            if len(self._failed) > MOST_NAMES:
                self._failed.clear()

    async def _fresh(self, name: Name) -> tuple[Address, ...] | None:
        """The answer, or None if none comes soon and an old one will do."""
        with trio.move_on_after(STALE_AFTER_S):
            try:
                return await self._in_thread(name)
            except socket.gaierror as fault:
                if fault.errno in _FINAL:
                    raise
        return None

    def _keep(self, name: Name, known: _Known) -> None:
        if self._cache_s:
            if len(self._known) >= MOST_NAMES:
                self._known.clear()
            self._known[name] = known

    async def _in_thread(self, name: Name) -> tuple[Address, ...]:
        host, port = name
        threads = self._threads.get(host)
        if threads is None:
            self._threads = {host: limiter for host, limiter in self._threads.items() if limiter.borrowed_tokens}
            threads = self._threads[host] = trio.CapacityLimiter(THREADS_PER_NAME)
        if self.lookups >= MOST_THREADS:
            raise socket.gaierror(socket.EAI_AGAIN, "the resolver is busy")
        found = await trio.to_thread.run_sync(
            lambda: self._lookup(host, port, type=socket.SOCK_STREAM), abandon_on_cancel=True, limiter=threads
        )
        return _addresses(found)

    @property
    def lookups(self) -> int:
        """Threads that look up names, those included that nobody waits for any more."""
        return int(sum(limiter.borrowed_tokens for limiter in self._threads.values()))
