"""What a provider keeps of earlier calls is asked for where it may be, and costs nothing."""

from collections.abc import Callable
from typing import Any

from trio.testing import MockClock

from appliance.request.endpoint import INTERACTION_GET, RESPONSE_CANCEL, RESPONSE_DELETE, RESPONSE_GET, Endpoint
from tests.request.stage import END, SECRET, Client, Stage, chunk, head, refuses, whole
from tests.wire.streams import golden

Make = Callable[..., Stage]
OTHER = "sk-of-the-other"
RESPONSE = {"id": "resp_1", "object": "response", "usage": {"input_tokens": 100, "output_tokens": 100}}
GONE = refuses(0.0, 404, "not_found")


async def ask(s: Stage, endpoint: Endpoint, argument: str, query: bytes = b"") -> Client:
    call, client = s.prepare({}, endpoint=endpoint, argument=argument, query=query)
    await s.run(call)
    s.check()
    return client


def two(stage: Make, plays: Any) -> Stage:
    s = stage(scripts={None: plays})
    s.directory.with_provider("other", OTHER, base_url="http://other.test/v1", models=("x",))
    return s


async def test_it_is_read_back_with_its_method_and_without_a_body(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={None: whole(0.0, RESPONSE)})
    client = await ask(s, RESPONSE_GET, "resp_1", b"include=a&key=secret")
    assert client.json() == RESPONSE
    (asked,) = s.provider.asked
    assert asked.head.startswith(b"GET /v1/responses/resp_1?include=a HTTP/1.1\r\n")
    assert b"content-length" not in asked.head
    assert b"authorization: Bearer " + SECRET.encode() in asked.head
    assert client.headers["x-startline-provider"] == "sim"
    assert "x-startline-model" not in client.headers
    assert (s.request.endpoint, s.request.cost_nanos, s.request.cost_state) == (
        "responses.retrieve",
        0,
        "not_charged",
    )


async def test_another_provider_may_have_it(clock: MockClock, stage: Make) -> None:
    s = two(stage, [GONE, whole(0.0, {"id": "resp_1", "deleted": True})])
    client = await ask(s, RESPONSE_DELETE, "resp_1")
    assert (client.status, client.headers["x-startline-provider"]) == (200, "other")
    assert [asked.head[:26] for asked in s.provider.asked] == [b"DELETE /v1/responses/resp_"] * 2
    assert b"Bearer " + OTHER.encode() in s.provider.asked[1].head


async def test_where_nobody_has_it_that_is_told_in_the_providers_words(clock: MockClock, stage: Make) -> None:
    s = two(stage, GONE)
    client = await ask(s, RESPONSE_CANCEL, "resp_1/cancel")
    assert client.status == 404
    assert client.json()["error"]["code"] == "not_found"
    assert [asked.head[:38] for asked in s.provider.asked] == [b"POST /v1/responses/resp_1/cancel HTTP/"] * 2
    assert b"content-length: 0" in s.provider.asked[0].head


async def test_a_stream_is_played_again_without_its_cost(clock: MockClock, stage: Make) -> None:
    played = golden("interactions_text", "gemini")
    facts = {"kind": "gemini", "base_url": "http://provider.test/v1beta", "price_as": "google"}
    s = stage(scripts={None: [(0.0, head() + chunk(played) + END)]}, provider=facts)
    client = await ask(s, INTERACTION_GET, "i_1", b"stream=true&last_event_id=2")
    assert client.body == played
    assert s.provider.asked[0].head.startswith(b"GET /v1beta/interactions/i_1?alt=sse&stream=true&last_event_id=2 ")
    assert (s.request.streamed, s.request.cost_nanos) == (True, 0)


async def test_where_no_provider_speaks_the_dialect(clock: MockClock, stage: Make) -> None:
    s = stage(scripts={})
    client = await ask(s, INTERACTION_GET, "i_1")
    assert (client.status, client.json()["error"]["code"]) == (400, "invalid_argument")
    assert client.json()["error"]["startline"]["code"] == "dialect_unsupported"
