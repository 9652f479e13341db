"""Sends one request to the stage and tells what happens while it happens, from the simulator's journal.

The rule: what is told of the losers comes from the provider's side: a closed connection is one that the provider saw
closed, not one that the gateway says it closed.
"""

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec

from appliance.cli.first_request import record
from appliance.cli.stage import Stage
from appliance.simulator.override import METADATA_KEY

if TYPE_CHECKING:
    from appliance.simulator.journal import Entry

CLOSED_WITHIN_S = 2.0
"""A loser that the provider still serves this long after the winner's start was not cancelled."""

Tell = Callable[[float, str, str], None]
"""Gets the time since the request was sent in seconds, the tier, and what happened."""


class Scene(msgspec.Struct, frozen=True):
    """One request to send, and the reason that must come back."""

    about: str
    model: str
    reason: str
    served: str
    start_within: str | None = None
    service_tier: str | None = None
    endpoint: str = "chat"
    stream: bool = True

    @property
    def asked(self) -> str:
        """What is asked of Startline, in a word."""
        return f"start_within {self.start_within}" if self.start_within else f"service_tier {self.service_tier}"

    def request(self, mark: str) -> tuple[str, dict[str, Any]]:
        """The path and body; the journal shows the mark, so that other requests are not taken for this one."""
        body: dict[str, Any] = {"model": self.model, "stream": self.stream, "metadata": {METADATA_KEY: f"mark={mark}"}}
        if self.start_within:
            body["start_within"] = self.start_within
        if self.service_tier:
            body["service_tier"] = self.service_tier
        if self.endpoint == "responses":
            return "/v1/responses", body | {"input": "Who answers first?"}
        return "/v1/chat/completions", body | {"messages": [{"role": "user", "content": "Who answers first?"}]}


class Outcome(msgspec.Struct, frozen=True):
    """How a scene ended: the record, what the provider saw, and everything that was wrong (nothing: it was right).

    Times are seconds since the request was sent; `closed_s` is when the provider saw the last loser's end.
    """

    scene: Scene
    detail: dict[str, Any] | None
    started_s: float | None
    closed_s: float | None
    wrong: tuple[str, ...]


async def play(stage: Stage, scene: Scene, tell: Tell) -> Outcome:
    """Send the scene's request, tell of it, and check it."""
    import trio

    journal = stage.simulator.journal
    mark = token_hex(8)
    sent_s = trio.current_time()
    zero_s = sent_s - stage.simulator.began

    def mine() -> list["Entry"]:
        return [entry for entry in journal if entry.mark == mark]

    async def watch() -> None:
        told: set[tuple[int, str]] = set()
        while True:
            for entry in mine():
                for key, at_s, text in _events(entry):
                    if (entry.sequence, key) not in told:
                        told.add((entry.sequence, key))
                        tell(at_s - zero_s, entry.tier_asked or "no tier", text)
            await journal.wait(lambda _: any((e.sequence, k) not in told for e in mine() for k, _s, _t in _events(e)))

    path, body = scene.request(mark)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        async with stage.client.stream("POST", path, json=body) as answer:
            content = await answer.aread()
        with trio.move_on_after(CLOSED_WITHIN_S):
            await journal.wait(lambda _: all(entry.outcome != "open" for entry in mine()))
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    detail = await record(stage.admin, answer.headers.get("x-startline-request-id", ""))
    entries = mine()
    won = next((entry for entry in entries if entry.outcome == "completed"), None)
    started_s = won.started_s - zero_s if won is not None and won.started_s is not None else None
    closed = [entry.gone_s - zero_s for entry in entries if entry.gone_s is not None]
    wrong = tuple(
        _faults(scene, answer.status_code, content, answer.headers.get("x-startline-reason"), detail, entries)
    )
    return Outcome(scene, detail, started_s, max(closed, default=None), wrong)


def _events(entry: "Entry") -> Iterator[tuple[str, float, str]]:
    """What the journal says of one attempt: (key, the simulator's time, words)."""
    yield "asked", entry.arrived_s, "asked"
    ended_s = entry.ended_s if entry.ended_s is not None else 0.0
    if entry.started_s is not None:
        yield "started", entry.started_s, "begins to answer"
    if entry.outcome == "refused":
        yield "ended", ended_s, f"refuses: {entry.status} {entry.fault}"
    elif entry.outcome in ("failed", "cut"):
        yield "ended", ended_s, f"fails inside its stream: {entry.fault or entry.outcome}"
    elif entry.outcome == "client_gone":
        yield "ended", entry.gone_s or ended_s, "is closed: the provider sees the connection end"
    elif entry.outcome == "completed":
        yield "ended", ended_s, "answer complete"


def _faults(
    scene: Scene, status: int, content: bytes, reason: str | None, detail: dict[str, Any] | None, entries: list["Entry"]
) -> Iterator[str]:
    if status != 200:
        yield f"status {status}"
        return
    end = b"data: [DONE]" if scene.endpoint == "chat" else b"response.completed"
    if scene.stream and end not in content:
        yield "the stream has no end"
    if not scene.stream and b'"object":' not in content:
        yield "the answer is not whole"
    if reason != scene.reason:
        yield f"reason {reason}, not {scene.reason}"
    won = [entry for entry in entries if entry.outcome == "completed"]
    if len(won) != 1:
        yield f"{len(won)} attempts were completed"
    if any(entry.outcome == "open" for entry in entries):
        yield "a loser was not closed"
    if any(entry.forbidden for entry in entries):
        yield "fields crossed that must not"
    if detail is None:
        yield "there is no record"
        return
    request = detail["request"]
    if request["tier_served"] != scene.served or (won and won[0].tier_served != scene.served):
        yield f"served by {request['tier_served']}, not {scene.served}"
    if request["deadline_met"] is False:
        yield "the deadline was missed"
    usage = (won[0].usage or {}) if won else {}
    output = usage.get("completion_tokens", usage.get("output_tokens"))
    if request["tokens"]["output"] != output:
        yield f"{request['tokens']['output']} output tokens recorded, {output} served"
    if len(detail["attempts"]) != len(entries):
        yield f"{len(detail['attempts'])} attempts recorded, {len(entries)} made"
