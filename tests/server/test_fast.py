"""The fast lane's requests, over raw sockets: order, reuse, credentials, refusals, framing."""

import pytest
import trio

from tests.rig import CHAT, Client, Rig, chat, request, running


async def test_two_kinds_of_answer_share_a_connection(rig: Rig) -> None:
    client = await rig.connect()
    for body in (chat(), chat(stream=True), chat(), chat(stream=True)):
        await client.send(request(key=rig.token, body=body))
        answer = await client.answer()
        assert answer.status == 200 and answer.complete
        assert answer.header("connection") is None
        assert (b"data: [DONE]" in answer.body) == ("stream" in body)
    await client.send(request("GET", "/v1/models", key=rig.token))
    assert (await client.answer()).status == 200
    assert len({entry.connection for entry in rig.journal}) == 1, "the provider's connection was used again, too"


async def test_pipelined_requests_are_answered_in_order(rig: Rig) -> None:
    client = await rig.connect()
    texts = [f"number{at}" for at in range(6)]
    await client.send(b"".join(request(key=rig.token, body=chat(text, sim="echo=true")) for text in texts))
    answers = [(await client.answer()).json["choices"][0]["message"]["content"] for _ in texts]
    assert answers == texts


async def test_a_request_may_come_in_any_pieces(rig: Rig) -> None:
    client = await rig.connect()
    await client.send_slowly(request(key=rig.token, body=chat("piecemeal", sim="echo=true")) * 2)
    for _ in range(2):
        assert (await client.answer()).json["choices"][0]["message"]["content"] == "piecemeal"


async def test_what_is_pipelined_waits_and_is_answered_in_order(rig: Rig) -> None:
    client = await rig.connect()
    texts = [f"text {number}" for number in range(40)]
    requests = b"".join(request(key=rig.token, body=chat(text + " " + "x" * 20_000, sim="echo=true")) for text in texts)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send, requests)
        for text in texts:
            content = (await client.answer()).json["choices"][0]["message"]["content"]
            assert content.startswith(text + " x")


async def test_the_key_may_come_in_any_of_four_places(rig: Rig) -> None:
    client = await rig.connect()
    for head, path in (
        ([("authorization", f"Bearer {rig.token}")], "/v1/models"),
        ([("Authorization", f"bearer  {rig.token}")], "/v1/models"),
        ([("x-api-key", rig.token)], "/v1/models"),
        ([("X-Goog-Api-Key", rig.token)], "/v1/models"),
        ([], f"/v1/models?alt=json&key={rig.token}"),
    ):
        await client.send(request("GET", path, headers=head))
        assert (await client.answer()).status == 200, head


async def test_a_wrong_key_is_told_apart_from_a_mistyped_one(rig: Rig) -> None:
    stale = 1_600_000_000
    _, expired = await rig.new_key(now_unix_s=stale, expires_unix_s=stale + 1)
    _, elsewhere = await rig.new_key(addresses=("192.0.2.0/24",))
    _, here = await rig.new_key(addresses=("127.0.0.0/8",))
    revoked_key, revoked = await rig.new_key()
    await rig.appliance.store.api_keys.revoke(revoked_key.key_id, now_unix_s=stale)
    mistyped = rig.token[:-8] + ("A" if rig.token[-8] != "A" else "B") + rig.token[-7:]
    client = await rig.connect()
    for token, status, code in (
        ("", 401, "missing_api_key"),
        ("sk-other-provider", 401, "invalid_api_key"),
        (rig.token[:-5], 401, "invalid_api_key"),
        (mistyped, 401, "invalid_api_key"),
        (expired, 401, "expired_api_key"),
        (elsewhere, 403, "address_not_allowed"),
        (revoked, 401, "revoked_api_key"),
        (rig.management_token, 401, "wrong_key_kind"),
        (here, 200, ""),
    ):
        await client.send(request("GET", "/v1/models", key=token))
        answer = await client.answer()
        assert answer.status == status, code
        if code:
            assert answer.code == code
            assert answer.json["error"]["startline"]["origin"] == "startline"
        assert (answer.header("www-authenticate") == "Bearer") == (status == 401)
    for token in (rig.token[:-5], mistyped):
        await client.send(request("GET", "/v1/models", key=token))
        assert "cut short or mistyped" in (await client.answer()).json["error"]["message"]


async def test_an_unknown_route_and_a_wrong_method_are_told_in_the_dialect(rig: Rig) -> None:
    client = await rig.connect()
    for path in ("/v1/nothing", "/v1", "/v1beta/nothing", "/api/v1/chat", CHAT + "/"):
        await client.send(request("GET", path, key=rig.token))
        answer = await client.answer()
        assert (answer.status, answer.json["error"]["startline"]["code"]) == (404, "route_not_found"), path
    await client.send(request("GET", "/anthropic/v1/nothing", key=rig.token))
    theirs = (await client.answer()).json
    assert (theirs["type"], theirs["error"]["type"]) == ("error", "not_found_error")
    for method, path, allow in (
        ("GET", CHAT, "POST"),
        ("DELETE", "/v1/models", "GET, HEAD"),
        ("PUT", "/api/v1/models/a/b", "GET, HEAD"),
    ):
        await client.send(request(method, path, key=rig.token))
        answer = await client.answer()
        assert (answer.status, answer.code, answer.header("allow")) == (405, "method_not_allowed", allow)


async def test_a_stranger_learns_nothing_of_the_routes(rig: Rig) -> None:
    client = await rig.connect()
    for path in ("/v1/nothing", CHAT):
        await client.send(request("GET", path))
        assert (await client.answer()).code == "missing_api_key"


async def test_head_has_the_headers_of_get_and_no_body(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(request("GET", "/v1/models", key=rig.token))
    got = await client.answer("GET")
    await client.send(request("HEAD", "/v1/models", key=rig.token) + request("HEAD", "/v1/nothing", key=rig.token))
    head = await client.answer("HEAD")
    assert head.header("content-length") == str(len(got.body))
    assert (await client.answer("HEAD")).status == 404
    await client.send(request("GET", "/v1/models", key=rig.token))
    assert (await client.answer("GET")).body == got.body


async def test_http_1_0_closes_unless_asked(rig: Rig) -> None:
    client = await rig.connect()
    kept = [("connection", "keep-alive")]
    await client.send(request("GET", "/v1/models", key=rig.token, version="1.0", headers=kept))
    answer = await client.answer()
    assert (answer.status, answer.header("connection")) == (200, "keep-alive")
    await client.send(request(key=rig.token, body=chat(stream=True), version="1.0"))
    answer = await client.answer()
    assert answer.header("transfer-encoding") is None, "HTTP/1.0 knows no chunks"
    assert answer.header("connection") == "close"
    assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_a_client_may_ask_for_the_end(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(request("GET", "/v1/models", key=rig.token, headers=[("connection", "close")]))
    answer = await client.answer()
    assert (answer.status, answer.header("connection")) == (200, "close")
    assert await client.ended() == b""


async def test_offers_to_upgrade_are_ignored_and_their_body_is_read(rig: Rig) -> None:
    client = await rig.connect()
    offer = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")]
    body = chat("upgrade", sim="echo=true")
    await client.send(request(key=rig.token, body=body, headers=offer) * 2)
    for _ in range(2):
        answer = await client.answer()
        assert answer.status == 200 and answer.interim == []
        assert answer.json["choices"][0]["message"]["content"] == "upgrade"


async def test_what_is_no_http_gets_400_and_the_end(rig: Rig) -> None:
    for garbage, status in (
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # a TLS hello
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /v1/m\xc3\xb6dels HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/models HTTP/3.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /v1/models\r\n\r\n", 400),
        (b"POST /v1/models HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST /v1/models HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000, 431),
    ):
        for first in (b"", request("GET", "/v1/models", key=rig.token)):
            client = await rig.connect()
            if len(garbage) < 60_000:  # more than a head in advance would end the connection with the first answer
                await client.send(first + garbage)
            else:
                await client.send(first)
            if first:
                assert (await client.answer()).status == 200
            if len(garbage) >= 60_000:
                await client.send(garbage)
            answer = await client.answer()
            assert (answer.status, answer.header("connection")) == (status, "close"), garbage[:60]
            assert answer.json["error"]["type"] == "invalid_request_error" or status >= 500
            assert await client.ended() == b""
    await rig.alive()


async def test_the_date_and_the_request_id_are_always_there(rig: Rig) -> None:
    client = await rig.connect()
    seen = set()
    for data in (
        request("GET", "/v1/models", key=rig.token),
        request("GET", "/v1/nothing", key=rig.token),
        request(key=rig.token, body=chat()),
        request(key=rig.token, body=chat(stream=True)),
        request(key=rig.token, body=b"{"),
        request("GET", "/v1/models"),
    ):
        await client.send(data)
        answer = await client.answer()
        assert answer.header("date")
        seen.add(answer.header("x-startline-request-id"))
    assert len(seen) == 6 and None not in seen


async def test_more_connections_than_allowed_are_turned_away() -> None:
    async with running(max_connections=2) as rig:
        clients = [await rig.connect() for _ in range(2)]
        for client in clients:
            await client.send(request("GET", "/v1/models", key=rig.token))
            assert (await client.answer()).status == 200
        third = await rig.connect()
        answer = await third.answer()
        assert (answer.status, answer.code, answer.header("connection")) == (503, "too_many_connections", "close")
        await clients[0].close()
        await rig.until(lambda: rig.appliance.listeners.connections == 1)
        await rig.alive()


async def test_an_address_restricted_key_behind_a_trusted_proxy() -> None:
    async with running(trusted_proxies=("127.0.0.0/8",)) as rig:
        _, token = await rig.new_key(addresses=("203.0.113.0/24",))
        client = await rig.connect()
        for forwarded, status in (("203.0.113.7", 200), ("198.51.100.1", 403), ("203.0.113.7, 198.51.100.1", 403)):
            await client.send(request("GET", "/v1/models", key=token, headers=[("x-forwarded-for", forwarded)]))
            assert (await client.answer()).status == status, forwarded
    async with running() as rig:
        _, token = await rig.new_key(addresses=("203.0.113.0/24",))
        client = await rig.connect()
        await client.send(request("GET", "/v1/models", key=token, headers=[("x-forwarded-for", "203.0.113.7")]))
        assert (await client.answer()).status == 403, "nobody's word is taken unless it was set"


async def test_two_keys_on_one_connection_are_never_taken_for_each_other(rig: Rig) -> None:
    """A balancer sends many clients' requests over one connection, and a head that repeats is not parsed again."""
    other, token = await rig.new_key()
    client = await rig.connect()
    usual = request(key=rig.token, body=chat())
    for between in (
        request("GET", "/v1/nothing", key=token),
        request("DELETE", CHAT, key=token),
        request("GET", "/v1/models", key=token),
        request("GET", "/v1/models", key="sk-sl-nonsense"),
        request("GET", "/v1/nothing"),
    ):
        rig.settled.clear()
        await client.send(usual + between + usual)
        for _ in range(3):
            await client.answer()
        await rig.until(lambda: not rig.appliance.gateway.live)
        asked = [settled.request.key_id for settled in rig.settled if settled.request.endpoint == "chat.completions"]
        assert asked == [rig.key.key_id] * 2, between[:40]
    assert other.key_id != rig.key.key_id


async def test_a_connection_has_so_many_requests_refusals_included() -> None:
    async with running(max_requests_per_connection=3) as rig:
        for lane in ("/v1/models", "/healthz"):
            client = await rig.connect()
            await client.send(request("GET", lane, key=rig.token) * 4)
            answers = [await client.answer() for _ in range(3)]
            assert [answer.header("connection") for answer in answers] == [None, None, "close"], lane
            assert await client.ended() == b"", lane
        client = await rig.connect()
        for nth in range(3):
            await client.send(request("GET", "/v1/models", key="sk-sl-nobody"))
            answer = await client.answer()
            assert (answer.status, answer.header("connection")) == (401, "close" if nth == 2 else None)


async def _refused(client: Client, path: str, key: str, address: str = "") -> tuple[int, str, str | None]:
    headers = [("x-forwarded-for", address)] if address else []
    await client.send(request("GET", path, key=key, headers=headers))
    answer = await client.answer()
    return answer.status, "" if answer.status == 200 else answer.code, answer.header("retry-after")


@pytest.mark.parametrize("path", ["/v1/models", "/admin/v1/health"])
async def test_an_address_with_many_wrong_keys_gets_429_for_them_and_good_keys_pass(path: str) -> None:
    async with running(max_failed_keys=3) as rig:
        good = rig.token if path.startswith("/v1") else rig.management_token
        wrong = good[:-1] + ("A" if good[-1] != "A" else "B")
        gone, revoked = await rig.new_key("inference" if path.startswith("/v1") else "management")
        await rig.appliance.store.api_keys.revoke(gone.key_id, now_unix_s=1)
        client = await rig.connect()
        assert await _refused(client, path, wrong) == (401, "invalid_api_key", None)
        assert await _refused(client, path, revoked) == (401, "revoked_api_key", None)
        assert await _refused(client, path, "sk-other") == (401, "invalid_api_key", None)
        for key in (wrong, revoked, "sk-other", rig.management_token if good == rig.token else rig.token):
            assert await _refused(client, path, key) == (429, "too_many_failed_keys", "1200"), "and not why"
        for connection in (client, await rig.connect()):
            assert (await _refused(connection, path, good))[0] == 200, "nobody locks out a good key"
        assert await _refused(client, path, wrong) == (429, "too_many_failed_keys", "1200")
        assert await _refused(client, path, "") == (401, "missing_api_key", None), "no key is no try"
        told = rig.appliance.metrics.exposition().decode()
        assert 'startline_refused_total{code="too_many_failed_keys"} 5.0' in told


async def test_failures_are_the_clients_and_not_its_balancers() -> None:
    async with running(max_failed_keys=2, trusted_proxies=("127.0.0.0/8",)) as rig:
        client = await rig.connect()
        for _ in range(2):
            assert (await _refused(client, "/v1/models", "sk-sl-x", "203.0.113.7"))[0] == 401
        assert (await _refused(client, "/v1/models", "sk-sl-x", "203.0.113.7"))[0] == 429
        assert (await _refused(client, "/v1/models", "sk-sl-x", "203.0.113.8"))[0] == 401
        for last in (1, 2):
            assert (await _refused(client, "/v1/models", "sk-sl-x", f"2001:db8::{last}"))[0] == 401
        assert (await _refused(client, "/v1/models", "sk-sl-x", "2001:db8::3"))[0] == 429, "one /64 is one client"


async def test_the_operator_is_never_limited() -> None:
    async with running(max_failed_keys=1, operator=True) as rig:
        for _ in range(3):
            operator = await rig.connect_operator()
            assert (await _refused(operator, "/v1/models", "sk-sl-x"))[0] == 401
