"""Playing an answer in time: waiting, streaming at a pace, stalling, breaking off, failing inside.

Rule: the only place that lets time pass. Simulated seconds become trio seconds here, by the scale; the journal's entry
is brought up to date right after each write, so that it never claims what was not sent.
"""

import math
from collections.abc import Callable
from typing import Final, NoReturn

import trio

from appliance.simulator.connection import Connection, Headers
from appliance.simulator.fate import Fate
from appliance.simulator.journal import Entry, Journal, Outcome
from appliance.simulator.script import Phase, Script, Step
from appliance.simulator.world import Behaviour

_BATCH_STEPS: Final = 16


class Broken(Exception):
    """The answer was broken off on purpose; the connection must be closed, with RST if `reset`."""

    def __init__(self, reset: bool) -> None:
        super().__init__("the answer was broken off")
        self.reset = reset


class Player:
    """Plays one answer on one connection; made per request, after the request was understood."""

    def __init__(
        self,
        connection: Connection,
        journal: Journal,
        entry: Entry,
        behaviour: Behaviour,
        fate: Fate,
        *,
        arrived: float,
        began: float,
        time_scale: float,
    ) -> None:
        self._connection = connection
        self._journal = journal
        self._entry = entry
        self._behaviour = behaviour
        self._fate = fate
        self._arrived = arrived
        self._began = began
        self._scale = time_scale
        self._delay_s = 0.0  # simulated seconds lost in stalls

    async def refuse(self, status: int, headers: Headers, body: bytes, after_s: float) -> None:
        """An error status, `after_s` simulated seconds after arrival."""
        await self._until(after_s)
        await self._whole(status, headers, body)
        self._end("refused")

    def due(self, tokens: int) -> float:
        """When, on trio's clock, an answer of so many tokens is finished."""
        return self._arrived + (self._fate.start_s + self._generation_s(tokens)) * self._scale

    async def whole(
        self, headers: Headers, body: bytes, *, contents: int, reasoning: int = 0, at_once: bool = False
    ) -> None:
        """The unstreamed answer, once all its content and reasoning tokens would be generated, or at admission.

        Raises Broken.
        """
        fate = self._fate
        if fate.never:
            await trio.sleep_forever()
        generated_s = fate.start_s + self._generation_s(contents + reasoning)
        await self._until(min(self._behaviour.admission_s, generated_s) if at_once else generated_s)
        if fate.stall_after_tokens is not None:
            await self._stall()
        if fate.cut_after_tokens is not None:
            await self._connection.respond(200, headers, body, only=len(body) // 2)
            self._entry.status = 200
            self._sent(head=True)
            self._break_off()
        await self._whole(200, headers, body)
        self._entry.started_s = self._entry.content_s = self._entry.head_s
        self._entry.tokens_sent = contents
        self._end("completed")

    async def _whole(self, status: int, headers: Headers, body: bytes) -> None:
        self._entry.status = status
        await self._connection.respond(status, headers, body)
        self._sent(head=True)

    async def stream(
        self, headers: Headers, script: Script, early: bool, failure: Callable[[int], list[bytes]]
    ) -> None:
        """The streamed answer. `early`: preamble at admission, not with the first output; `failure` makes the events
        of a failure inside the stream, given how many events were sent. Raises Broken.
        """
        fate = self._fate
        if fate.never and not early:
            await trio.sleep_forever()
        await self._until(min(self._behaviour.admission_s, fate.start_s) if early else fate.start_s)
        self._entry.status = 200
        await self._connection.begin(200, headers)
        self._sent(head=True)
        steps = script.steps
        first = next(number for number, step in enumerate(steps) if step.phase is not Phase.PREAMBLE)
        batch = list(steps[:first])
        if early:
            await self._flush(batch)
            if fate.never:
                await trio.sleep_forever()
            await self._until(fate.start_s)
        strikes = self._strikes()
        generated = contents = 0
        for number in range(first, len(steps)):
            step = steps[number]
            while strikes and (contents >= strikes[0][0] or number == len(steps) - 1):
                await self._flush(batch)
                if await self._strike(strikes.pop(0)[1], failure, number):
                    return
            if step.tokens:
                generated += step.tokens
                due_s = fate.start_s + self._delay_s + self._generation_s(generated - 1)
                if self._arrived + due_s * self._scale > trio.current_time():
                    await self._flush(batch)
                    await self._until(due_s)
            contents += step.phase is Phase.CONTENT
            batch.append(step)
            if len(batch) >= _BATCH_STEPS and number < len(steps) - 1:
                await self._flush(batch)
        await self._flush(batch, last=True)
        self._entry.usage = script.usage
        self._end("completed")

    def _strikes(self) -> list[tuple[int, str]]:
        """What befalls the stream, as (after how many content tokens, what), in order; a stall before other ends."""
        fate = self._fate
        strikes = (
            (fate.stall_after_tokens, "stall"), (fate.error_after_tokens, "error"), (fate.cut_after_tokens, "cut")
        )  # fmt: skip
        return sorted(((after, kind) for after, kind in strikes if after is not None), key=lambda strike: strike[0])

    async def _strike(self, kind: str, failure: Callable[[int], list[bytes]], number: int) -> bool:
        """Let it happen; True if the answer ended with it. Raises Broken for a cut."""
        if kind == "stall":
            await self._stall()
            return False
        if kind == "cut":
            self._break_off()
        frames = failure(number)
        await self._connection.send(b"".join(frames), last=True, fragment_bytes=self._behaviour.fragment_bytes)
        self._entry.fault = self._behaviour.error
        self._end("failed")
        return True

    async def _stall(self) -> None:
        if math.isinf(self._behaviour.stall_s):
            await trio.sleep_forever()
        self._delay_s += self._behaviour.stall_s
        await trio.sleep(self._behaviour.stall_s * self._scale)

    def _break_off(self) -> NoReturn:
        self._end("cut")
        raise Broken(self._behaviour.cut_reset)

    async def _flush(self, steps: list[Step], *, last: bool = False) -> None:
        """Send the steps and empty the list."""
        if not steps:
            return
        data = b"".join(step.data for step in steps)
        await self._connection.send(data, last=last, fragment_bytes=self._behaviour.fragment_bytes)
        phases = [step.phase for step in steps]
        self._entry.tokens_sent += phases.count(Phase.CONTENT)
        now = trio.current_time() - self._began
        if self._entry.content_s is None and Phase.CONTENT in phases:
            self._entry.content_s = now
        if self._entry.started_s is None and (Phase.CONTENT in phases or Phase.OUTPUT in phases):
            self._entry.started_s = now
        steps.clear()
        self._sent()

    def _sent(self, *, head: bool = False) -> None:
        if head:
            self._entry.head_s = trio.current_time() - self._began
        self._journal.changed()

    def _end(self, outcome: Outcome) -> None:
        self._entry.outcome = outcome
        self._entry.ended_s = trio.current_time() - self._began
        self._journal.changed()

    def _generation_s(self, tokens: int) -> float:
        speed = self._behaviour.tokens_per_s
        return tokens / speed if speed else 0.0

    async def _until(self, simulated_s: float) -> None:
        """Sleep until this many simulated seconds after arrival; always a checkpoint."""
        if math.isinf(simulated_s):
            await trio.sleep_forever()
        await trio.sleep(max(0.0, self._arrived + simulated_s * self._scale - trio.current_time()))
