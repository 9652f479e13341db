"""Canaries through what only some callers do: other dialects, coding agents' names, providers where none may be.

These only send; whether anything was written down is `test_canary.py`'s to find out. `canary` gives the text that is
sent where any may be, `core` its plain letters for places that take no others.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

CLAUDE = "claude/claude-sonnet-5"
GEMINI = "/v1beta/models/gem%2Fgemini-3.5-flash"
Canary = Callable[[str], str]
Core = Mapping[str, str]


def fates(canary: Canary) -> tuple[tuple[str, int], ...]:
    """What the provider does, as the simulator takes it, and the status of an answer that is no stream."""
    return (
        (f"text={quote(canary('answer'))}", 200),
        (f"refuse=invalid_request,message={quote(canary('error'))}", 400),
        (f"refuse=invalid_api_key,message={quote(canary('error'))}", 403),
        (f"refuse=bad_gateway,message={quote(canary('error'))}", 502),
        (f"error=2,tokens=9,message={quote(canary('streamerror'))}", 0),
        ("cut=2,tokens=9", 502),
    )


def talk_anthropic(client: httpx.Client, key: str, canary: Canary, core: Core) -> None:
    """Messages, good and failing, with the headers of Anthropic's SDK and the names of a coding agent."""
    headers = {
        "x-api-key": key,
        "anthropic-version": "2023-06-01",
        "anthropic-beta": core["headervalue"],
        "user-agent": f"claude-cli/{core['agent']}",
        "x-claude-code-session-id": core["headervalue"],
        "x-claude-code-agent-id": core["headervalue"],
    }
    messages = [{"role": "user", "content": canary("prompt")}]
    body: dict[str, Any] = {"model": CLAUDE, "max_tokens": 20, "system": canary("system"), "messages": messages}
    for stream in (False, True):
        for sim, status in fates(canary):
            asked = body | {"stream": stream, "metadata": {"simulator": sim, "user_id": canary("metadata")}}
            answer = client.post("/v1/messages", json=asked, headers=headers)
            assert answer.status_code == status or not status or (stream and "cut" in sim), (sim, answer.text)
    wrong: dict[str, Any]
    for wrong in (
        {"model": f"claude/{canary('model')}"},
        {"model": f"claude/claude-haiku-4-5-{canary('model')}"},  # the price list knows how it begins
        {"messages": canary("prompt")},
        {"max_tokens": canary("tier")},
    ):
        client.post("/anthropic/v1/messages", json=body | wrong, headers=headers)
    client.post("/anthropic/v1/messages", content=core["badjson"].encode(), headers=headers)
    client.post("/anthropic/v1/messages/count_tokens", json={"model": CLAUDE, "messages": messages}, headers=headers)
    client.get(f"/anthropic/v1/models/{core['model']}", headers=headers)
    stranger = headers | {"x-api-key": core["passedkey"]}
    assert client.post("/anthropic/v1/messages", json=body, headers=stranger).status_code == 401


def talk_gemini(client: httpx.Client, key: str, canary: Canary, core: Core) -> None:
    """generateContent and its kin, the key in the query as Google's examples have it."""
    headers = {"user-agent": f"GeminiCLI/{core['agent']}", "x-goog-api-client": core["headervalue"]}
    contents = [{"role": "user", "parts": [{"text": canary("prompt")}]}]
    body = {"contents": contents, "systemInstruction": {"parts": [{"text": canary("system")}]}}
    for action in (":generateContent?", ":streamGenerateContent?alt=sse&", ":streamGenerateContent?"):
        for sim, status in fates(canary):
            answer = client.post(
                f"{GEMINI}{action}key={key}", json=body | {"labels": {"simulator": sim}}, headers=headers
            )
            assert answer.status_code == status or not status or ("stream" in action and "cut" in sim), (
                sim,
                answer.text,
            )
        stranger = f"{GEMINI}{action}key={core['urlkey']}&q={core['query']}"
        assert client.post(stranger, json=body, headers=headers).status_code == 401
        client.post(
            f"{GEMINI}{action}key={key}&q={core['query']}", json={"contents": canary("prompt")}, headers=headers
        )
        client.post(f"{GEMINI}{action}key={key}", content=core["badjson"].encode(), headers=headers)
        client.post(f"/v1beta/models/gem%2F{core['model']}{action}key={key}", json=body, headers=headers)
        client.get(f"{GEMINI}{action}key={key}", headers=headers)
    client.post(f"/v1beta/models/{core['model']}:{core['path']}?key={key}", json=body, headers=headers)
    client.post(f"{GEMINI}:countTokens?key={key}", json={"contents": contents}, headers=headers)
    client.post(f"/v1beta/interactions?key={key}", json={"model": core["model"], "input": canary("prompt")})
    client.get(f"/v1beta/interactions/{core['path']}?key={key}")


def lead_astray(manager: httpx.Client, caller: httpx.Client, core: Core) -> None:
    """A management key's providers at places where none may be, and where none is; then requests to each.

    Of the first two the place is stored, as it must be (`place`): it may stand in the data folder, and in no log.
    """
    host, path, value, place = core["host"], core["path"], core["headervalue"], core["place"]
    places: tuple[dict[str, Any], ...] = (
        {"base_url": f"https://{place}.invalid/{place}", "headers": {f"x-{place}": place}},
        {"base_url": f"https://localhost/{place}", "auth": f"x-{place}"},
        {"base_url": f"https://{host}:{path}@127.0.0.1/"},
        {"base_url": f"https://127.0.0.1/{path}"},
        {"base_url": f"http://{host}.invalid/{path}"},
        {"base_url": f"https://{host}.invalid/", "headers": {value: f"{value}\r\nx: y"}},
        {"base_url": f"https://{host}.invalid/", "proxy": f"http://{host}:{path}@{host}.invalid:1"},
    )
    for at, given in enumerate(places):
        one = {"name": f"astray-{at}", "kind": "openai_compatible", "secret": core["passedkey"]} | given
        added = manager.post("/admin/v1/providers", json=one).status_code
        assert added == (201 if at < 2 else 403 if at in (3, 6) else 400), at
        told = caller.post("/v1/chat/completions", json={"model": f"astray-{at}/{core['model']}", "messages": []})
        assert told.status_code == (502 if at < 2 else 404), told.text
        assert manager.delete(f"/admin/v1/providers/astray-{at}").status_code == (200 if at < 2 else 404)


def ask_of_requests(client: httpx.Client, key: str, canary: Canary, core: Core) -> None:
    """What would be done with requests, and the account of some: good, refused, unknown."""
    headers = {"authorization": f"Bearer {key}"}
    body: dict[str, Any] = {
        "model": "gpt-5.4-nano",
        "start_within": "10s",
        "messages": [{"role": "user", "content": canary("prompt")}],
        "metadata": {"a": canary("metadata")},
    }
    assert client.post("/v1/explain", json=body, headers=headers).status_code == 200
    for wrong in ({"model": canary("model")}, {"start_within": canary("tier")}, {"preset": core["model"]}):
        client.post("/v1/explain", json=body | wrong, headers=headers)
    client.post("/v1/explain", content=core["badjson"].encode(), headers=headers)
    client.post(f"/v1/explain?endpoint={core['query']}&model={quote(canary('model'))}", json=body, headers=headers)
    client.post(f"/v1/explain?endpoint=generateContent&model={core['model']}", json=body, headers=headers)
    client.get(f"/v1/requests/{core['path']}", headers=headers)
    client.get(f"/v1/requests/{quote(canary('path'), safe='')}?{core['query']}", headers=headers)
