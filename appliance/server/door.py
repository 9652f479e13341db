"""Who is let in: how many client connections there may be, in all and from one address. The rule: a refusal is cheap.

A connection is counted when it is accepted, before any task of it runs, so that a burst cannot overshoot. Whoever is
turned away is told why at once, without being read first; a few of them at a time then get a moment to hear it, since
a reset over unread bytes would overtake what they were told.
"""

import socket
from contextlib import suppress

import trio

from appliance.domain.errors import ApplianceFault, CallerFault, Fault
from appliance.http1.write import response_head
from appliance.net.stream import RECEIVE_BYTES
from appliance.policy.address import Proxies, neighbourhood
from appliance.request.facts import fault_headers
from appliance.request.slots import Slots
from appliance.wire.faults import fault_body

RETRY_AFTER_S = 1
MOST_FAREWELLS = 64
"""How many that were turned away are heard out at the same time; more are closed at once."""

FAREWELL_S = 1.0
FAREWELL_BYTES = 128 * 1024


class Door:
    """Counts the connections of clients. The operator's (`peer` None) and those of trusted proxies have no share."""

    def __init__(self, proxies: Proxies, most: int, most_per_address: int) -> None:
        self._proxies = proxies
        self.most = most
        self.most_per_address = most_per_address
        self._by_address = Slots()
        self.connections = 0
        self.farewells = 0

    def let_in(self, peer: str | None) -> Fault | None:
        """Count a connection; None if it may stay (then call `left` once), else why not."""
        if peer is not None:
            if self.connections >= self.most:
                return ApplianceFault("too_many_connections", retry_after_s=RETRY_AFTER_S)
            if not self._proxies.trusted(peer) and not self._by_address.take(
                neighbourhood(peer), self.most_per_address
            ):
                return CallerFault("too_many_connections_of_address", retry_after_s=RETRY_AFTER_S)
        self.connections += 1
        return None

    def left(self, peer: str | None) -> None:
        """A connection that was let in has ended."""
        self.connections -= 1
        if peer is not None and not self._proxies.trusted(peer):
            self._by_address.give_back(neighbourhood(peer))

    def busiest(self) -> int:
        """The most connections that one address has now, trusted proxies apart."""
        return self._by_address.most_taken()

    def turn_away(self, accepted: socket.socket, fault: Fault, nursery: trio.Nursery) -> None:
        """Say why, as far as that goes without waiting, and close: soon if there is a place to wait, else at once."""
        body, kind = fault_body(fault, "openai_chat", "")
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        headers += fault_headers(fault)
        try:
            accepted.setblocking(False)
            accepted.send(response_head(fault.status, headers) + body)
            accepted.shutdown(socket.SHUT_WR)
        except OSError:
            accepted.close()
            return
        if self.farewells < MOST_FAREWELLS:
            self.farewells += 1
            nursery.start_soon(self._hear_out, accepted)
        else:
            with accepted, suppress(OSError):
                accepted.recv(RECEIVE_BYTES)

    async def _hear_out(self, accepted: socket.socket) -> None:
        read_bytes = 0
        try:
            with accepted, trio.move_on_after(FAREWELL_S), suppress(OSError):
                while read_bytes < FAREWELL_BYTES:
                    await trio.lowlevel.wait_readable(accepted)
                    data = accepted.recv(RECEIVE_BYTES)
                    if not data:
                        break
                    read_bytes += len(data)
        finally:
            self.farewells -= 1
