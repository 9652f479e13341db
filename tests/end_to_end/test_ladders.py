"""Ladders over providers that speak different dialects, before the running appliance: races, chains, presets, records.

The window is two seconds: the dearer rung launches after one.
"""

from typing import Any

import httpx
import pytest

from appliance.domain.preset import Preset
from appliance.domain.record import Settled
from tests.rig import Rig, running

GPT, CLAUDE, GEMINI = "gpt-5.4-nano", "claude-sonnet-5", "gemini-3.5-flash"
WINDOW_S, LAUNCH_S = 2.0, 1.0
SAY: list[dict[str, Any]] = [{"role": "user", "content": "hello"}]


async def furnished(rig: Rig) -> None:
    await rig.add("claude", "anthropic", tiers=("standard_only", "auto"))
    await rig.add("gem", "gemini", "/v1beta", tiers=("flex", "standard", "priority"))


async def told(rig: Rig) -> Settled:
    """The record of the request that was asked last, as the store has it."""
    await rig.until(lambda: not rig.appliance.gateway.live)
    await rig.journal.idle()
    await rig.appliance.store.ledger.flush()
    detail = await rig.appliance.store.usage.request(rig.settled[-1].request.request_id)
    assert detail is not None
    assert Settled(detail.request, detail.attempts) == rig.settled[-1], "the rows say what was handed over"
    return rig.settled[-1]


def text_of(answer: httpx.Response, dialect: str, streamed: bool) -> str:
    """The words of an answer; that it ended as it should is asserted."""
    if streamed:
        assert (b"data: [DONE]" if dialect == "chat" else b"message_stop") in answer.content
        return answer.text
    body = answer.json()
    return str(body["choices"][0]["message"]["content"] if dialect == "chat" else body["content"][0]["text"])


async def ask(rig: Rig, dialect: str, streamed: bool, **fields: Any) -> httpx.Response:
    path = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}[dialect]
    body: dict[str, Any] = {"model": GPT, "messages": SAY, "stream": streamed, "max_tokens": 50}
    async with rig.http() as client:
        answer = await client.post(path, json=body | fields)
    assert answer.status_code == 200, answer.text
    assert text_of(answer, dialect, streamed)
    return answer


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", ["chat", "messages"])
async def test_the_deadline_is_saved_by_another_dialect(dialect: str, streamed: bool) -> None:
    async with running() as rig:
        await furnished(rig)
        silent, ladder = f"{GPT}@sim:flex.start=30", [f"gem/{GEMINI}"]
        answer = await ask(rig, dialect, streamed, ladder=[f"sim/{silent}:flex", *ladder], start_within=WINDOW_S)
        assert answer.headers["x-startline-provider"] == "gem"
        assert answer.headers["x-startline-translated"].endswith("gemini_generate")
        settled = await told(rig)
        request, (lost, won) = settled.request, settled.attempts
        assert (request.reason, request.deadline_met, request.window_s) == ("flex_deadline", True, WINDOW_S)
        assert (lost.provider, lost.tier_sent, lost.outcome) == ("sim", "flex", "lost")
        assert (won.provider, won.model, won.outcome) == ("gem", GEMINI, "won")
        assert LAUNCH_S <= won.start_s < WINDOW_S
        assert request.default_nanos == won.cost_nanos, "always-default is the other provider"
        cheap, dear = sorted(rig.journal, key=lambda entry: entry.arrived_s)
        assert (cheap.family, cheap.outcome, dear.family, dear.outcome) == (
            "openai", "client_gone", "gemini", "completed",
        )  # fmt: skip
        assert dear.tier_asked == "standard" and dear.streamed and cheap.streamed


async def test_a_cheap_tier_of_another_provider_wins_for_a_caller_whose_own_has_none() -> None:
    async with running() as rig:
        await furnished(rig)
        _, token = await rig.new_key(ladder=(f"gem/{GEMINI}:flex", f"claude/{CLAUDE}"), start_within="2s")
        rig.token = token
        await ask(rig, "messages", False, model=f"claude/{CLAUDE}")
        settled = await told(rig)
        (won,) = settled.attempts
        assert (won.provider, won.tier_sent, settled.request.reason) == ("gem", "flex", "flex_won")
        assert settled.request.forecast is not None
        assert [rung.provider for rung in settled.request.forecast.rungs] == ["gem", "claude"]


@pytest.mark.parametrize("refusal", ["flex_unavailable", "server_error"])
async def test_a_preset_without_a_deadline_is_a_chain(refusal: str) -> None:
    async with running() as rig:
        await furnished(rig)
        organisation_id = rig.key.organisation_id
        ladder = (f"sim/{GPT}@sim:flex.refuse={refusal}:flex", f"claude/{CLAUDE}", f"gem/{GEMINI}")
        store = rig.appliance.store
        await store.presets.add(Preset("", organisation_id, "night", None, ladder))
        await ask(rig, "chat", True, model="@preset/night")
        settled = await told(rig)
        request = settled.request
        assert (request.reason, request.provider, request.window_s) == ("chain_advanced", "claude", None)
        assert (request.preset, request.model_asked) == ("night", "@preset/night")
        assert [attempt.provider for attempt in settled.attempts] == ["sim", "claude"]


@pytest.mark.parametrize("named", ["@preset/night", "@preset%2Fnight", "%40preset%2Fnight"])
async def test_a_preset_in_the_path_of_googles_dialect_and_of_a_list(named: str) -> None:
    async with running() as rig:
        await furnished(rig)
        preset = Preset("", rig.key.organisation_id, "night", f"gem/{GEMINI}")
        await rig.appliance.store.presets.add(preset)
        async with rig.http() as client:
            body = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
            answer = await client.post(f"/v1beta/models/{named}:generateContent", json=body)
            assert answer.status_code == 200 and answer.json()["candidates"], answer.text
            row = (await client.get(f"/v1/models/{named}")).json()
        assert (row["id"], row["startline"]["provider"]) == ("@preset/night", "gem")
        assert [entry.model for entry in rig.journal] == [GEMINI]
