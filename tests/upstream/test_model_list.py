"""The list of models that a provider gives: read, bounded, and its failures told apart."""

from collections.abc import Callable

import msgspec
import pytest
import trio

from appliance.domain.catalog import Provider
from appliance.domain.errors import UpstreamFault
from appliance.http1.limits import Limits
from appliance.net.dial import Dialer
from appliance.net.resolver import Resolver
from appliance.simulator.builtin_worlds import built_in
from appliance.simulator.server import Simulator
from appliance.upstream import model_list
from appliance.upstream.model_list import fetch_models, read_ids
from appliance.upstream.transport import Pool
from appliance.upstream.trust import bundle_path, client_context


@pytest.fixture
def pool(nursery: trio.Nursery) -> Pool:
    """A pool that closes its connections with the test."""
    connections = Pool(
        Dialer(Resolver(0.0)),
        tls=lambda: client_context(bundle_path("")),
        limits=Limits(),
        connect_timeout_s=5,
        idle_s=5,
    )
    nursery.start_soon(connections.run)
    return connections


def provider(base_url: str) -> Provider:
    return Provider("prov_1", "org_1", "sim", "openai", base_url)


async def test_a_provider_tells_its_models_and_keeps_the_connection(pool: Pool, nursery: trio.Nursery) -> None:
    simulator = Simulator(built_in("demo"))
    base_url = await nursery.start(simulator.serve)
    for _ in range(2):
        models = await fetch_models(pool, provider(base_url), "sk-sim-x")
        assert models == tuple(built_in("demo").names("openai"))
    assert simulator.journal.connections == 1
    assert [entry.forbidden for entry in simulator.journal] == [[], []]


async def test_a_wrong_key_is_told_apart(pool: Pool, nursery: trio.Nursery) -> None:
    base_url = await nursery.start(Simulator(built_in("demo")).serve)
    with pytest.raises(UpstreamFault) as raised:
        await fetch_models(pool, provider(base_url), "wrong")
    assert raised.value.code == "provider_key_rejected"


async def answering(nursery: trio.Nursery, answer: bytes) -> Provider:
    """A provider that answers any request with these bytes and then closes."""

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)
        await stream.aclose()

    listeners: list[trio.SocketListener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, serve, listeners)
    return provider(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1")


def plain(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (plain(b"404 Not Found", b"nothing here"), "provider_rejected"),
        (plain(b"200 OK", b"<html>"), "provider_garbled"),
        (plain(b"200 OK", b'{"data": 5}'), "provider_garbled"),
        (b"", "provider_cut_off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "provider_cut_off"),
    ],
)
async def test_other_answers_are_faults(pool: Pool, nursery: trio.Nursery, answer: bytes, code: str) -> None:
    with pytest.raises(UpstreamFault) as raised:
        await fetch_models(pool, await answering(nursery, answer), "x")
    assert raised.value.code == code


async def test_a_list_without_end_is_not_kept(
    pool: Pool, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_list, "LIST_BYTES", 10)
    with pytest.raises(UpstreamFault) as raised:
        await fetch_models(pool, await answering(nursery, plain(b"200 OK", b"x" * 11)), "x")
    assert raised.value.code == "provider_garbled"


async def test_a_silent_provider_is_given_up(
    pool: Pool, nursery: trio.Nursery, autojump_clock: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    listeners: list[trio.SocketListener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, silent, listeners)
    with pytest.raises(UpstreamFault) as raised:
        await fetch_models(pool, provider(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"), "x")
    assert raised.value.code in ("provider_too_slow", "provider_unreachable")


async def test_nobody_there(pool: Pool) -> None:
    with pytest.raises(UpstreamFault) as raised:
        await fetch_models(pool, provider("http://127.0.0.1:9/v1"), "x")
    assert raised.value.code == "provider_unreachable"


def test_ids_are_texts_of_a_sane_length_each_once() -> None:
    rows = [{"id": name} for name in ("a", "b", "a", 5, "", "x" * 201, "line\nbreak", "provider/model")]
    assert read_ids(msgspec.json.encode({"data": rows})) == ("a", "b", "provider/model")
    assert read_ids(b'{"data": []}') == ()
