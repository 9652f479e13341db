"""Who is let in: caps in all and by address, told clearly, cheap; balancers and the operator have no share in them."""

import socket

import msgspec
import trio

from appliance.policy.address import Proxies
from appliance.server.door import MOST_FAREWELLS, Door
from tests.rig import Client, Rig, request, running


async def _turned_away(rig: Rig, status: int, code: str) -> None:
    """A client that sends its request at once, as an SDK does, reads why it was not let in."""
    client = await rig.connect()
    await client.send(request("GET", "/v1/models", key=rig.token))
    answer = await client.answer()
    assert (answer.status, answer.code, answer.complete) == (status, code, True)
    assert (answer.header("connection"), answer.header("retry-after")) == ("close", "1")
    block = answer.json["error"]["startline"]
    assert block["retryable"] is True and msgspec.json.decode(answer.header("x-startline-error") or "") == block
    assert await client.ended() == b""
    assert not client.was_reset
    await client.close()


async def test_an_address_has_its_share_and_gets_it_back() -> None:
    async with running(max_connections_per_address=2) as rig:
        clients = [await rig.connect() for _ in range(2)]
        await rig.until(lambda: rig.appliance.listeners.connections == 2)
        await _turned_away(rig, 429, "too_many_connections_of_address")
        for client in clients:  # those that are in are not disturbed
            await client.send(request("GET", "/v1/models", key=rig.token))
            assert (await client.answer()).status == 200
        other = await trio.open_tcp_stream("127.0.0.1", rig.port, local_address="127.0.0.2")
        async with other:
            await other.send_all(request("GET", "/healthz"))
            assert b" 200 " in await other.receive_some(), "another address has a share of its own"
        await clients[0].close()
        await rig.until(lambda: rig.appliance.listeners.connections == 1)
        await rig.alive()
        told = rig.appliance.metrics.exposition().decode()
        assert 'startline_refused_total{code="too_many_connections_of_address"} 1.0' in told


async def test_a_burst_does_not_overshoot() -> None:
    async with running(max_connections=3) as rig:
        burst = [socket.create_connection(("127.0.0.1", rig.port)) for _ in range(20)]  # before the server has a turn
        try:
            statuses = []
            for one in burst:
                client = Client(trio.SocketStream(trio.socket.from_stdlib_socket(one)))
                await client.send(request("GET", "/healthz"))
                statuses.append((await client.answer()).status)
            assert statuses == [200] * 3 + [503] * 17
            assert rig.appliance.listeners.connections == 3
        finally:
            for one in burst:
                one.close()


async def test_a_balancer_is_not_throttled() -> None:
    async with running(max_connections_per_address=1, trusted_proxies=("127.0.0.0/8",)) as rig:
        for _ in range(5):
            client = await rig.connect()
            await client.send(request("GET", "/healthz"))
            assert (await client.answer()).status == 200
        assert rig.appliance.door.busiest() == 0


async def test_the_operator_is_not_counted_by_address() -> None:
    async with running(max_connections_per_address=1, max_connections=1, operator=True) as rig:
        for _ in range(3):
            operator = await rig.connect_operator()
            await operator.send(request("GET", "/healthz"))
            assert (await operator.answer()).status == 200


async def test_only_so_many_that_were_turned_away_are_heard_out() -> None:
    async with running(max_connections_per_address=1) as rig:
        first = await rig.connect()
        await rig.until(lambda: rig.appliance.listeners.connections == 1)
        late = [await rig.connect() for _ in range(MOST_FAREWELLS + 30)]
        for client in late:
            assert (await client.answer()).status == 429
        assert rig.appliance.door.farewells <= MOST_FAREWELLS
        for client in late:
            await client.close()
        await rig.until(lambda: rig.appliance.door.farewells == 0)
        await first.send(request("GET", "/healthz"))
        assert (await first.answer()).status == 200


def test_neighbours_in_one_ipv6_network_share() -> None:
    door = Door(Proxies(("2001:db8:ffff::/48",)), most=10, most_per_address=2)
    assert door.let_in("2001:db8::1") is None
    assert door.let_in("2001:db8::2") is None
    refused = door.let_in("2001:db8::3")
    assert refused is not None and refused.kind.code == "too_many_connections_of_address"
    assert door.let_in("2001:db8:0:1::1") is None, "another /64"
    for _ in range(4):
        assert door.let_in("2001:db8:ffff::1") is None, "a trusted proxy"
    assert (door.connections, door.busiest()) == (7, 2)
    door.left("2001:db8::1")
    door.left("2001:db8:ffff::1")
    assert door.let_in("2001:db8::3") is None
    assert door.connections == 6
