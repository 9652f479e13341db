"""The server: routes, keys, models, the journal over HTTP, TLS."""

import ssl

import httpx
import msgspec
import pytest
import trio
from openai.types import Model as SdkModel

from appliance.simulator.builtin_worlds import built_in
from appliance.simulator.server import Simulator
from appliance.simulator.world import Behaviour
from tests.simulator.running import Start, world_of


@pytest.mark.parametrize("key", ["", "Bearer sk-other", "Basic sk-sim-x", "sk-sim-x"])
async def test_a_wrong_key_is_a_401_in_openai_s_shape(start: Start, key: str) -> None:
    running = await start()
    answer = await running.client.get("models", headers={"authorization": key})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert running.journal[0].outcome == "refused"


async def test_models_are_listed_and_found_by_name(start: Start) -> None:
    running = await start(built_in("demo"))
    listed = (await running.client.get("models")).json()["data"]
    assert [SdkModel.model_validate(one).id for one in listed] == built_in("demo").names("openai")
    assert (await running.client.get("models/gpt-5.4")).json()["id"] == "gpt-5.4"
    missing = await running.client.get("models/none")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "chat/completions", 405),
        ("POST", "models", 405),
        ("POST", "nowhere", 404),
        ("GET", "../../etc/passwd", 404),
    ],
)
async def test_other_urls(start: Start, method: str, path: str, status: int) -> None:
    running = await start()
    answer = await running.client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_the_journal_is_told_and_forgotten_over_http(start: Start) -> None:
    running = await start(time_scale=0.5)
    root = running.simulator.base_url.removesuffix("/v1")
    await running.client.post("embeddings", json={"model": "e", "input": "x"})
    async with httpx.AsyncClient(trust_env=False) as stranger:
        told = (await stranger.get(f"{root}/_journal")).json()
        assert told["time_scale"] == 0.5
        assert [(one["path"], one["outcome"]) for one in told["entries"]] == [("/v1/embeddings", "completed")]
        assert (await stranger.delete(f"{root}/_journal")).status_code == 200
        assert (await stranger.get(f"{root}/_journal")).json()["entries"] == []


async def test_no_content_and_no_header_value_is_in_the_journal(start: Start) -> None:
    running = await start()
    body = {"model": "m", "messages": [{"role": "user", "content": "canary"}], "user": "canary"}
    await running.client.post("chat/completions", json=body, headers={"x-odd": "canary", "cookie": "canary"})
    told = msgspec.json.encode(running.journal.to_builtins())
    assert b"canary" not in told
    assert running.journal[0].forbidden == ["cookie"]
    assert "x-odd" in running.journal[0].headers


async def test_more_connections_than_allowed_are_closed_at_once(start: Start) -> None:
    running = await start(max_connections=1)
    await running.client.get("models")  # this connection stays open
    second = await running.raw(b"")
    with trio.fail_after(5):
        assert await second.receive_some(1) == b""


async def test_two_servers_share_nothing(start: Start) -> None:
    one, two = await start(), await start(seed=1)
    await one.client.get("models")
    assert (len(one.journal), len(two.journal)) == (1, 0)


async def test_a_stopped_server_s_open_requests_are_cut(start: Start) -> None:
    running = await start(world_of(default=Behaviour(start=600)))
    simulator = Simulator(running.simulator.world)
    async with trio.open_nursery() as nursery:
        base_url = await nursery.start(simulator.serve)
        stream = await trio.open_tcp_stream("127.0.0.1", int(base_url.rpartition(":")[2].partition("/")[0]))
        body = b'{"model":"m","input":"x"}'
        head = b"POST /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-sim-x\r\ncontent-length: 25\r\n\r\n"
        await stream.send_all(head + body)
        await simulator.journal.wait(lambda journal: len(journal) == 1)
        nursery.cancel_scope.cancel()
    await stream.aclose()
    assert simulator.journal[0].outcome == "cut"


async def test_tls(start: Start, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = tls
    running = await start(ssl_context=server)
    assert running.simulator.base_url.startswith("https://127.0.0.1:")
    async with httpx.AsyncClient(verify=client, trust_env=False) as https:
        url = f"{running.simulator.base_url}/responses"
        headers = {"authorization": "Bearer sk-sim-x", "x-simulator": "start=0"}
        answer = await https.post(url, json={"model": "m", "input": "x", "stream": True}, headers=headers)
        assert b"response.completed" in answer.content
        async with trio.open_nursery() as nursery:
            never = {"model": "m@sim:never", "input": "x"}
            nursery.start_soon(lambda: https.post(url, json=never, headers=headers))
            await running.journal.wait(lambda journal: len(journal) == 2)
            nursery.cancel_scope.cancel()
    with trio.fail_after(5):
        await running.journal.idle()
    assert [entry.outcome for entry in running.journal] == ["completed", "client_gone"]
    assert not running.journal.errors
