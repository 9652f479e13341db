"""The fast lane's request bodies: 100-continue, refusals before the body was read, codings, slow clients."""

import gzip
import zlib

import brotli
import msgspec
import pytest
import trio
import zstandard

from tests.rig import CHAT, Client, Rig, chat, request, running

EXPECT = [("expect", "100-continue")]


def split(data: bytes) -> tuple[bytes, bytes]:
    """Head and body of a request."""
    head, mark, body = data.partition(b"\r\n\r\n")
    return head + mark, body


def chunked(key: str, *parts: bytes, trailers: bytes = b"", headers: list[tuple[str, str]] | None = None) -> bytes:
    head = request(key=key, headers=[("transfer-encoding", "chunked"), *(headers or [])])
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailers + b"\r\n"


async def test_a_good_head_gets_100_and_then_its_answer(rig: Rig) -> None:
    client = await rig.connect()
    head, body = split(request(key=rig.token, body=chat(), headers=EXPECT))
    await client.send(head)
    assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(body)
    assert (await client.answer()).status == 200
    await client.send(head + body)  # a body that is there already needs no 100
    assert (await client.answer()).interim == []


@pytest.mark.parametrize(
    ("path", "key", "length", "status", "code"),
    [
        (CHAT, "sk-sl-nobody", 10, 401, "invalid_api_key"),
        (CHAT, "", 10, 401, "missing_api_key"),
        (CHAT, "good", 33 * 1024 * 1024, 413, "request_too_large"),
        ("/v1/nothing", "good", 10, 404, "route_not_found"),
        ("/v1/models", "good", 10, 405, "method_not_allowed"),
    ],
)
async def test_a_bad_head_is_refused_without_100(
    rig: Rig, path: str, key: str, length: int, status: int, code: str
) -> None:
    client = await rig.connect()
    token = rig.token if key == "good" else key
    await client.send(request(path=path, key=token, headers=[*EXPECT, ("content-length", str(length))]))
    answer = await client.answer()
    assert (answer.status, answer.code, answer.interim) == (status, code, [])
    assert answer.header("connection") == "close"
    assert await client.ended() == b""


async def test_another_expectation_is_refused(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(request(key=rig.token, body=chat(), headers=[("expect", "miracles")]))
    answer = await client.answer()
    assert (answer.status, answer.code) == (417, "expectation_failed")


async def _send_until_told(client: Client, body: bytes) -> None:
    """Send like a client that does not listen meanwhile; that the server stops taking is no surprise."""
    try:
        await client.send(body)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return


@pytest.mark.parametrize(
    ("key", "length", "status", "code"),
    [("bad", 600_000, 401, "missing_api_key"), ("good", 34_000_000, 413, "request_too_large")],
)
async def test_a_client_that_sends_on_sees_why_it_was_refused(
    rig: Rig, key: str, length: int, status: int, code: str
) -> None:
    client = await rig.connect()
    await client.send(request(key=rig.token if key == "good" else "", headers=[("content-length", str(length))]))
    await client.send(b" " * 600_000)  # which is taken, though nobody wants it
    answer = await client.answer()
    assert (answer.status, answer.code) == (status, code)
    assert await client.ended() == b""
    assert not client.was_reset, "elsewhere a reset would have overtaken the answer"


async def test_a_client_that_never_stops_sending_is_cut_off(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(request(headers=[("content-length", "30000000")]))

    async def pour() -> None:
        for _ in range(400):
            await client.send(b" " * 65_536)

    with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
        await pour()
    await rig.until(lambda: rig.appliance.listeners.connections == 0)


async def test_a_running_length_over_the_limit_is_refused() -> None:
    async with running(max_body_bytes=100_000) as rig:
        client = await rig.connect()
        await _send_until_told(client, chunked(rig.token, *[b" " * 50_000] * 4))
        answer = await client.answer()
        assert (answer.status, answer.code) == (413, "request_too_large")


async def test_chunked_bodies_and_their_trailers(rig: Rig) -> None:
    client = await rig.connect()
    content = msgspec.json.encode(chat("in chunks", sim="echo=true"))
    parts = [content[at : at + 7] for at in range(0, len(content), 7)]
    trailers = b"Authorization: Bearer sk-sl-somebody-else\r\n"
    for data in (chunked(rig.token, *parts, trailers=trailers), chunked(rig.token, content)):
        await client.send(data)
        assert (await client.answer()).json["choices"][0]["message"]["content"] == "in chunks"
    await client.send_slowly(chunked(rig.token, *parts))
    assert (await client.answer()).status == 200


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "raw deflate", "br", "zstd", "identity"])
async def test_compressed_bodies(rig: Rig, coding: str) -> None:
    plain = msgspec.json.encode(chat(f"in {coding}", sim="echo=true"))
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(plain),
        "x-gzip": gzip.compress(plain),
        "deflate": zlib.compress(plain),
        "raw deflate": raw.compress(plain) + raw.flush(),
        "br": brotli.compress(plain),
        "zstd": zstandard.compress(plain),
        "identity": plain,
    }[coding]
    client = await rig.connect()
    encoding = [("content-encoding", coding.rpartition(" ")[2])]
    await client.send(request(key=rig.token, body=packed, headers=encoding))
    assert (await client.answer()).json["choices"][0]["message"]["content"] == f"in {coding}"
    assert "content-encoding" not in rig.journal[0].headers
    await client.send(request(key=rig.token, body=plain[:-1] if coding == "identity" else b"junk", headers=encoding))
    assert (await client.answer()).status == 400


async def test_a_bomb_is_refused_and_the_connection_lives(rig: Rig) -> None:
    zeros = b" " * (33 * 1024 * 1024)
    client = await rig.connect()
    for coding, packed in (("gzip", gzip.compress(zeros, 1)), ("br", brotli.compress(zeros, quality=1))):
        await client.send(request(key=rig.token, body=packed, headers=[("content-encoding", coding)]))
        answer = await client.answer()
        assert (answer.status, answer.code) == (413, "request_too_large")
    await client.send(request(key=rig.token, body=b"x", headers=[("content-encoding", "compress")]))
    assert (await client.answer()).code == "unsupported_encoding"
    await client.send(request(key=rig.token, body=chat()))
    assert (await client.answer()).status == 200


async def test_a_large_body_is_passed_on_whole(rig: Rig) -> None:
    client = await rig.connect()
    text = "0123456789abcdef" * 150_000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send, request(key=rig.token, body=chat(text, sim="tokens=1")))
        assert (await client.answer()).status == 200
    assert rig.journal[0].body_bytes > len(text)


async def test_clients_that_pause_too_long_are_told() -> None:
    async with running(head_timeout_s=0.2, body_timeout_s=0.2, keep_alive_s=0.3) as rig:
        head, body = split(request(key=rig.token, body=chat()))
        for data in (head[:40], head, head + body[:10]):
            client = await rig.connect()
            await client.send(data)
            answer = await client.answer()
            assert (answer.status, answer.code) == (408, "request_timeout")
            assert await client.ended() == b""
        idle = await rig.connect()
        assert await idle.ended() == b"", "an idle connection ends without a word"
        await idle.close()
        used = await rig.connect()
        await used.send(head + body)
        assert (await used.answer()).status == 200
        assert await used.ended() == b""
        await rig.until(lambda: rig.appliance.listeners.connections == 0)


async def test_a_head_that_drips_has_one_time_for_all_of_it() -> None:
    async with running(head_timeout_s=0.3, keep_alive_s=10) as rig:
        client = await rig.connect()
        await client.send(b"GET /v1/models HTTP/1.1\r\n")

        async def drip() -> None:
            while True:
                await client.send(b"x-drip: 1\r\n")
                await trio.sleep(0.02)

        with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
            await drip()


async def test_a_key_revoked_while_the_body_came_is_refused(rig: Rig) -> None:
    key, token = await rig.new_key()
    head, body = split(request(key=token, body=chat()))
    client = await rig.connect()
    await client.send(head + body[:10])
    await rig.until(lambda: any(one._phase.name == "BODY" for one in rig.appliance.front.fast))  # type: ignore[attr-defined]
    await rig.appliance.store.api_keys.revoke(key.key_id, now_unix_s=1)
    await client.send(body[10:])
    answer = await client.answer()
    assert (answer.status, answer.code) == (401, "revoked_api_key")
    assert len(rig.journal) == 0


async def test_a_body_that_drips_has_one_time_for_all_of_it() -> None:
    async with running(body_total_s=0.4, body_timeout_s=10) as rig:
        client = await rig.connect()
        head, body = split(request(key=rig.token, body=chat("x" * 1000)))
        await client.send(head)

        async def drip() -> None:
            for at in range(len(body)):
                await client.send(body[at : at + 1])
                await trio.sleep(0.02)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            answer = await client.answer()
            nursery.cancel_scope.cancel()
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert "longer than 0.4 seconds" in answer.json["error"]["message"]
        assert await client.ended() == b""
        assert len(rig.journal) == 0
        await rig.alive()


async def test_numbers_beyond_any_sense_are_refused_or_passed_and_always_recorded(rig: Rig) -> None:
    client = await rig.connect()
    for field, status in (("start_within", 400), ("max_completion_tokens", 200), ("max_tokens", 200)):
        for digits in (19, 40, 400):
            body = msgspec.json.encode(chat())[:-1] + b',"%b":1%b}' % (field.encode(), b"0" * digits)
            await client.send(request(key=rig.token, body=body))
            assert (await client.answer()).status == status, (field, digits)
    await rig.until(lambda: len(rig.settled) == 9)
    assert rig.appliance.store.ledger.counters.lost == 0, "who is not recorded is not billed"
