"""The two lanes agree: every case through both, ids and clock fixed, and status, headers and body are the same bytes.

The clock is virtual and moves only when a case says so, so that times measured and told in headers are the same too.
Not compared: `date`, `connection` and framing, which are the lanes' own.
"""

import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from appliance.request.engine import Engine
from appliance.simulator.world import Model, World
from tests.rig import CHAT, MODEL, QUICK, Answer, Client, Rig, chat, request, running

LANES_OWN = frozenset({"date", "connection", "transfer-encoding", "content-length"})
NEVER = "start=10000"
STEP_S = 2.0
HOPS = 6
"""From the client to the provider and back, each over a connection that may be new."""
Loopback = tuple[socket.socket, socket.socket]
PACED = msgspec.structs.replace(QUICK, tokens_per_s=10)
"""The first token comes at once, so that what an answer's head says does not depend on how its bytes were cut."""
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"


class Case(msgspec.Struct, frozen=True):
    """One request, and when the clock jumps: after so many requests have reached the provider, by so many seconds."""

    path: str = CHAT
    body: dict[str, Any] | bytes | None = None
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    key: str = "good"
    jumps: tuple[tuple[int, float], ...] = ()
    status: int = 200
    reason: str | None = None


def responses(text: str = "hi", *, sim: str = "", **more: Any) -> dict[str, Any]:
    return {"model": f"{MODEL}@sim:{sim}" if sim else MODEL, "input": text, **more}


def messages(text: str = "hi", *, sim: str = "", **more: Any) -> dict[str, Any]:
    model = f"claude/c@sim:{sim}" if sim else "claude/c"
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}], **more}


def contents(text: str = "hi", sim: str = "", **more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], "labels": {"simulator": sim}, **more}


MESSAGES = "/v1/messages"
GEMINI = "/v1beta/models/gem/g:"
GEMINIS_TOOL = {"functionDeclarations": [{"name": "weather"}]}
ANTHROPICS_TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"properties": {"city": {"type": "string"}}}}}
RESPONSES_TOOL = {"type": "function", **TOOL["function"]}  # type: ignore[dict-item]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"properties": {"b": {"type": "integer"}}}}}

FLEX_LATE = ((2, 3.0),)  # both run; then three seconds pass, after which flex starts
RACES: dict[str, tuple[str, tuple[tuple[int, float], ...], str]] = {
    "flex wins": ("flex.start=2", ((1, 2.0),), "flex_won"),
    "flex wins late": ("flex.start=8,default.start=9", ((1, 5.0), *FLEX_LATE), "flex_won_late"),
    "default wins at the deadline": (f"flex.{NEVER},default.start=1", ((1, 5.0), (2, 1.0)), "flex_deadline"),
    "flex refuses": ("flex.refuse", (), "flex_capacity"),
    "flex fails": ("flex.refuse=server_error", (), "flex_upstream_error"),
    "flex fails inside 200": ("flex.error=0,flex.early=true", (), "flex_capacity"),
    "flex is cut off": ("flex.cut=0", (), ""),
    "flex sends only its role": (f"flex.{NEVER},flex.early=true", ((1, 5.0),), "flex_deadline"),
}
FAULTS = {
    "over quota": ("refuse=insufficient_quota", 429),
    "rate limited": ("refuse=rate_limit_exceeded", 429),
    "a page instead of JSON": ("refuse=bad_gateway", 502),
    "its server fails": ("refuse=server_error", 500),
    "the caller's mistake": ("refuse=invalid_request", 400),
    "an unknown model there": ("refuse=model_not_found", 404),
    "our key is refused": ("refuse=invalid_api_key", 0),
    "cut in the middle": ("cut=2", 0),
    "reset in the middle": ("reset=2", 0),
    "an error inside 200": ("error=2", 0),
    "declined": ("decline=1", 200),
    "downgraded": ("downgrade=1", 200),
    "no usage": ("omit_usage=true", 200),
    "cached and reasoning": ("cached_share=0.5,reasoning_tokens=5", 200),
}


def _cases() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for stream in (False, True):
        how = ", streamed" if stream else ""
        more: dict[str, Any] = {"stream": True} if stream else {}
        for dialect, path, body in (("chat", CHAT, chat), ("responses", RESPONSES, responses)):
            named = f"{dialect}{how}"
            cases[named] = Case(path, body(**more))
            cases[f"{named}, under /api"] = Case("/api" + path, body(**more))
            tools = [TOOL if dialect == "chat" else RESPONSES_TOOL]
            cases[f"{named}, tools"] = Case(path, body(sim="tool_calls=2", tools=tools, **more))
            raced = body(sim="tool_calls=2", tools=tools, start_within="30s", **more)
            cases[f"{named}, raced tools"] = Case(path, raced)
            for tier in ("flex", "default", "priority", "auto", "scale"):
                cases[f"{named}, tier {tier}"] = Case(path, body(service_tier=tier, **more), status=-1)
            for name, (sim, jumps, reason) in RACES.items():
                raced = body(sim=sim, start_within="10s", **more)
                cases[f"{named}, race: {name}"] = Case(path, raced, jumps=jumps, status=-1, reason=reason or None)
            for name, (sim, status) in FAULTS.items():
                cases[f"{named}, provider: {name}"] = Case(path, body(sim=sim, **more), status=status or -1)
            both = "flex.refuse,default.refuse=overloaded"
            cases[f"{named}, all rungs fail"] = Case(path, body(sim=both, start_within="9s", **more), status=-1)
        named = f"Anthropic's{how}"
        cases[named] = Case(MESSAGES, messages(**more))
        cases[f"{named}, under /anthropic"] = Case(f"/anthropic{MESSAGES}?beta=true&a=%20b", messages(**more))
        tools = [ANTHROPICS_TOOL]
        cases[f"{named}, tools"] = Case(MESSAGES, messages(sim="tool_calls=2", tools=tools, **more))
        for tier in ("flex", "default", "priority", "auto", "standard_only", "scale"):
            cases[f"{named}, tier {tier}"] = Case(MESSAGES, messages(service_tier=tier, **more), status=-1)
        for name, (sim, _) in FAULTS.items():
            cases[f"{named}, provider: {name}"] = Case(MESSAGES, messages(sim=sim, **more), status=-1)
        named = f"Google's{how}"
        to = GEMINI + ("streamGenerateContent?alt=sse" if stream else "generateContent?a=b")
        cases[named] = Case(to, contents())
        cases[f"{named}, under /v1"] = Case(to.replace("v1beta", "v1"), contents())
        cases[f"{named}, tools"] = Case(to, contents(sim="tool_calls=2", tools=[GEMINIS_TOOL]))
        for tier in ("flex", "standard", "SERVICE_TIER_PRIORITY", "auto", "deferred", "unspecified"):
            cases[f"{named}, tier {tier}"] = Case(to, contents(serviceTier=tier), status=-1)
        for name, (sim, jumps, reason) in RACES.items():
            raced = contents(sim=sim, start_within="10s")
            cases[f"{named}, race: {name}"] = Case(to, raced, jumps=jumps, status=-1, reason=reason or None)
        for name, (sim, _) in FAULTS.items():
            cases[f"{named}, provider: {name}"] = Case(to, contents(sim=sim), status=-1)
        cases[f"chat{how}, usage asked for"] = Case(CHAT, chat(stream_options={"include_usage": True}, stream=True))
        cases[f"chat{how}, structured"] = Case(CHAT, chat(response_format=SCHEMA, **more))
        cases[f"chat{how}, n=2"] = Case(CHAT, chat(n=2, start_within="30s", **more))
    cases |= {
        "a slow stream gets comments": Case(CHAT, chat(sim="start=45", stream=True), jumps=((1, 25.0), (1, 20.0))),
        "a comment, then a fault": Case(
            CHAT, chat(sim="refuse=server_error,refusal_after_s=30", stream=True), jumps=((1, 25.0), (1, 5.0))
        ),
        "too slow to start": Case(CHAT, chat(sim=NEVER), jumps=((1, 901.0),), status=504),
        "embeddings": Case(EMBEDDINGS, {"model": "text-embedding-3-small", "input": ["a", "b"]}),
        "embeddings refused": Case(EMBEDDINGS, {"model": "m@sim:refuse=rate_limit_exceeded", "input": "a"}, status=429),
        "models": Case("/v1/models", method="GET"),
        "models, head": Case("/v1/models", method="HEAD"),
        "one model": Case("/v1/models/gpt-5.4", method="GET", status=-1),
        "one model of a provider": Case("/api/v1/models/sim/gpt-5.4%20x", method="GET", status=-1),
        "what would be done": Case("/v1/explain", chat(start_within="10s")),
        "what would be done, of one tier": Case("/api/v1/explain", chat(service_tier="flex")),
        "what would be done, Anthropic's": Case("/v1/explain?endpoint=messages", messages(model=MODEL)),
        "what would be done, refused": Case("/v1/explain?endpoint=messages", messages(start_within="soon"), status=400),
        "what would be done, with no call": Case("/v1/explain?endpoint=nothing", chat(), status=400),
        "what would be done, wrong method": Case("/v1/explain", method="GET", status=405),
        "no such request": Case("/v1/requests/req_1", method="GET", status=404),
        "no such request, head": Case("/v1/requests/req_1", method="HEAD", status=404),
        "no such request, Anthropic's": Case(
            "/v1/requests/req_1", method="GET", headers=(("anthropic-version", "1"),), status=404
        ),
        "no such provider": Case(CHAT, chat(model="nobody/nothing"), status=-1),
        "no such route": Case("/v1/nothing", {"a": 1}, status=404),
        "no such route, bare prefix": Case("/v1", method="GET", status=404),
        "no such route, another dialect": Case("/anthropic/v1/nothing", {"a": 1}, status=404),
        "Anthropic's, a provider that does not speak it": Case("/v1/messages", {"model": MODEL}, status=400),
        "a slow stream gets pings": Case(MESSAGES, messages(sim="start=45", stream=True), jumps=((1, 25.0), (1, 20.0))),
        "pings, then a fault": Case(
            MESSAGES, messages(sim="refuse=server_error,refusal_after_s=30", stream=True), jumps=((1, 25.0), (1, 5.0))
        ),
        "Google's stream as an array": Case(f"{GEMINI}streamGenerateContent", contents()),
        "Google's array that fails": Case(f"{GEMINI}streamGenerateContent", contents(sim="error=2")),
        "Google's array that is slow": Case(
            f"{GEMINI}streamGenerateContent", contents(sim="start=45"), jumps=((1, 25.0), (1, 20.0))
        ),
        "Google's count": Case(f"{GEMINI}countTokens", {"contents": contents()["contents"]}),
        "Google's embedding": Case(f"{GEMINI}embedContent", {"content": {"parts": [{"text": "a"}]}}),
        "Google's models": Case("/v1beta/models?pageSize=2", method="GET"),
        "Google's models by the header": Case("/v1/models", method="GET", headers=(("x-goog-api-key", "x"),)),
        "Google's, no key": Case(f"{GEMINI}generateContent", contents(), key="", status=401),
        "Google's, an unknown action": Case(f"{GEMINI}predict", contents(), status=405),
        "Google's interactions, no model": Case("/v1beta/interactions", {"input": "x"}, status=400),
        "Anthropic's count": Case(
            "/v1/messages/count_tokens", {"model": "claude/c", "messages": messages()["messages"]}
        ),
        "Anthropic's, no key": Case("/anthropic/v1/messages", {"model": MODEL}, key="", status=401),
        "Anthropic's, wrong method": Case("/api/v1/messages/count_tokens", method="GET", status=405),
        "Anthropic's models": Case("/anthropic/v1/models?limit=2", method="GET"),
        "Anthropic's models by the header": Case("/v1/models", method="GET", headers=(("anthropic-version", "1"),)),
        "no such route, slash": Case("/v1/models/", method="GET", status=-1),
        "no such route, query": Case("/v1beta?x=%20y", method="GET", status=404),
        "wrong method": Case(CHAT, method="GET", status=405),
        "wrong method, models": Case("/v1/models", b"", method="DELETE", status=405),
        "wrong method, head": Case(CHAT, method="HEAD", status=405),
        "no key": Case(CHAT, chat(), key="", status=401),
        "no key, head": Case("/v1/models", method="HEAD", key="", status=401),
        "a bad key": Case(CHAT, chat(), key="sk-sl-nonsense", status=401),
        "a management key": Case(CHAT, chat(), key="management", status=401),
        "not JSON": Case(CHAT, b"{", status=400),
        "no object": Case(CHAT, b"[]", status=400),
        "empty": Case(CHAT, b"", status=400),
        "no model": Case(CHAT, {"messages": []}, status=400),
        "odd case": Case(CHAT, {**chat(), "Model": "x"}, status=400),
        "both tiers": Case(CHAT, chat(start_within="9s", service_tier="flex"), status=400),
        "bad window": Case(CHAT, chat(start_within="soon"), status=400),
        "window too long": Case(CHAT, chat(start_within="16m"), status=400),
        "window in the header": Case(CHAT, chat(), headers=(("x-start-within", "20s"),), reason="flex_won"),
        "bad compression": Case(CHAT, b"junk", headers=(("content-encoding", "gzip"),), status=400),
        "unknown compression": Case(CHAT, b"junk", headers=(("content-encoding", "lzw"),), status=415),
        "hostile model": Case(CHAT, chat(model="a\r\nset-cookie: x=1\u2028é@sim:"), status=-1),
        "client's own headers": Case(
            CHAT,
            chat(),
            headers=(("x-stainless-lang", "python"), ("cookie", "a=b"), ("x-forwarded-for", "1.2.3.4"), ("x-a", " b ")),
        ),
    }
    return cases


CASES = _cases()


def fixed(rig: Rig) -> None:
    """The same ids and times of day for every request, the same draws at the provider, and nothing learned before."""
    front, gateway = rig.appliance.front, rig.appliance.gateway
    gateway.engine = gateway.planner._engine = Engine(gateway.prices, gateway.settings)
    front.unix_us = lambda: 1_800_000_000_000_000  # type: ignore[method-assign]
    front.request_id = lambda *_: "req_" + "0" * 26  # type: ignore[method-assign]
    rig.simulator._answering._counts.clear()
    rig.journal.clear()
    rig.journal._count = 0


async def drive(rig: Rig, client: Client, case: Case, clock: trio.testing.MockClock, loopback: Loopback) -> Answer:
    """Send the case's request on this connection; move the clock as it says, then on until the answer is there."""
    key = {"good": rig.token, "management": rig.management_token}.get(case.key, case.key)
    await client.send(request(case.method, case.path, key=key, body=case.body, headers=list(case.headers)))
    answers: list[Answer] = []

    async def listen() -> None:
        answers.append(await client.answer(case.method))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        for count, jump_s in case.jumps:
            await rig.journal.wait(lambda journal, count=count: len(journal) >= count)  # type: ignore[misc]
            await _settle(loopback)
            clock.jump(jump_s)
        await _settle(loopback)
        while not answers:
            clock.jump(STEP_S)
            await _settle(loopback)
    return answers[0]


@pytest.fixture(scope="module")
def loopback() -> Iterator[Loopback]:
    """Both ends of a connection of our own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        yield near, far


async def _settle(loopback: Loopback) -> None:
    """Let everything that can go on without time go on.

    What is on its way through the loopback runs no task. The kernel hands it over in order, late on a busy machine: so
    a byte of our own is sent after it, and when that has come, so has all that was sent before.
    """
    near, far = loopback
    for _ in range(HOPS):
        await trio.testing.wait_all_tasks_blocked()
        far.send(b"x")
        await trio.lowlevel.wait_readable(near)
        near.recv(1)
    await trio.testing.wait_all_tasks_blocked()


Reach = Callable[[Rig], Awaitable[Client]]


async def fast(rig: Rig) -> Client:
    return await rig.connect()


async def reference(rig: Rig) -> Client:
    """A connection that has moved to the ASGI lane."""
    client = await rig.connect()
    await client.send(request("GET", "/healthz"))
    assert (await client.answer()).status == 200
    return client


def compared(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes, bool]:
    headers = [header for header in answer.headers if header[0] not in LANES_OWN]
    return answer.status, headers, answer.body, answer.complete


@pytest.mark.parametrize("name", CASES)
async def test_both_lanes_give_the_same_bytes(
    name: str, mock_clock: trio.testing.MockClock, loopback: Loopback
) -> None:
    case = CASES[name]
    answers = []
    seen = []
    world = World(models={"*": Model(tiers=dict.fromkeys(("flex", "default", "priority"), PACED), dimensions=4)})
    async with running(world, limit_s=100_000, keep_alive_s=100_000) as rig:
        await rig.add("claude", "anthropic", tiers=("standard_only", "auto"))
        await rig.add("gem", "gemini", "/v1beta", tiers=("flex", "standard", "priority"))
        for reach in (fast, reference):
            client = await reach(rig)
            fixed(rig)
            answer = await drive(rig, client, case, mock_clock, loopback)
            answers.append(answer)
            await rig.until(lambda: not rig.appliance.gateway.live)
            await rig.journal.idle()
            seen.append([_told(entry) for entry in rig.journal])
            await client.close()
            await _settle(loopback)
        ours, theirs = answers
        for mine, reference_ in zip(compared(ours), compared(theirs), strict=True):
            assert mine == reference_
        assert ours.header("content-length") == theirs.header("content-length")
        assert theirs.header("connection") == "close"
        assert case.status in (-1, ours.status), ours.body[:500]
        if case.reason is not None:
            assert (ours.header("x-startline-reason") or "") == case.reason, ours.header("x-startline-race")
        assert seen[0] == seen[1], "the provider was asked the same"
        one, other = [_recorded(settled) for settled in rig.settled] or [None, None]
        assert one == other, "the records say the same"


def _told(entry: Any) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(entry)
    kept = ("path", "model", "tier_asked", "tier_served", "streamed", "headers", "body_bytes", "status", "outcome")
    return {name: facts[name] for name in kept}


def _recorded(settled: Any) -> Any:
    return msgspec.to_builtins(settled)
