"""Every place where something waits or is held for others, with its bound. The rule: one table, none without a limit.

What belongs to one connection alone is bounded by constants (a head, one receive, one event) and by the number of
connections; it has no row of its own.
"""

import socket
import struct
import sys
from collections.abc import Callable, Iterable, Mapping

QUEUES: tuple[tuple[str, str], ...] = (
    ("accept", "Connections that the kernel holds until they are accepted, of the fullest listener."),
    ("connections", "Client connections: `max_connections`."),
    ("connections_of_address", "Connections of the client address that has most: `max_connections_per_address`."),
    ("farewells", "Connections that were turned away and are heard out for a second; more are closed at once."),
    ("requests_of_key", "Requests in work of the key that has most: `max_requests_per_key`."),
    ("bodies_bytes", "Long bodies of requests and held answers: `max_bodies_bytes`."),
    ("decompressions", "Bodies being decompressed in threads; others wait with their request."),
    ("asgi_inbox", "Parts of a body that wait for the web application, of the fullest request."),
    ("races", "Races of the organisation that runs most: `race_slots`, unless it has its own."),
    ("account_reads", "Requests for accounts at the database; each waits 5 s at most."),
    ("observed_attempts", "Attempts that may outlive their request; beyond, losers are cut off as usual."),
    ("suspects", "Models and tiers of providers that have a breaker."),
    ("suspects_of_races", "Models whose races were lost on all tiers together lately."),
    ("idle_provider_connections", "Connections kept for reuse, of the provider that has most."),
    ("name_lookups", "Threads that look up names; what would need more fails at once."),
    ("threads", "Threads at work for the admin routes; others wait with their request."),
    ("failed_key_addresses", "Client addresses with keys that were not good; the oldest is forgotten."),
    ("log_lines", "Lines of requests that wait for others."),
    ("store_records_bytes", "Records that wait for the database; half full refuses requests, see `on_store_failure`."),
    ("store_changes", "Changes of keys and providers that wait for the database; more are refused."),
    ("store_waiters", "Answers that wait until their record is on disk; more are refused."),
    ("open_requests", "Requests begun and not settled, as the database knows them: `max_connections`."),
)

Number = Callable[[], float]


class Queues:
    """Depth and limit of each queue of the table, asked for at each scrape."""

    def __init__(self) -> None:
        self._numbers: dict[str, tuple[Number, float]] = {}

    def watch(self, name: str, depth: Number, limit: float) -> None:
        """Report a queue of the table."""
        self._numbers[name] = (depth, limit)

    def depths(self) -> Mapping[tuple[str, ...], float]:
        """How much each holds now."""
        return {(name,): depth() for name, (depth, _) in self._numbers.items()}

    def limits(self) -> Mapping[tuple[str, ...], float]:
        """How much each may hold."""
        return {(name,): limit for name, (_, limit) in self._numbers.items()}


def accept_depth(listeners: Iterable[socket.socket]) -> int:
    """Connections waiting to be accepted, of the fullest listener; 0 where the system does not tell.

    Linux: `tcpi_unacked` of a listening socket is the length of its accept queue (net/ipv4/tcp.c, tcp_get_info).
    """
    depths = [0]
    for listener in listeners:
        if sys.platform == "linux" and listener.family in (socket.AF_INET, socket.AF_INET6) and listener.fileno() >= 0:
            info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)
            depths.append(struct.unpack_from("=I", info, 24)[0])
    return max(depths)
