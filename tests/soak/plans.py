"""What clients ask, and when and how they leave: drawn by chance, the same for the same seed.

The rule: the length of a request's body is its own among those of its key, since the row of a request says both: so
each row can be held against what its client did.
"""

import enum
from random import Random
from typing import Any

import msgspec

from tests.rig import request

MODEL = "gpt-5.4-nano"
FRAIL = "gpt-5.4-mini"
"""The model whose provider often refuses, so that breakers open and let probes through."""

LEAST_BODY_BYTES = 900
LONG_BODY_BYTES = 200_000
WINDOW_S = 0.08
"""Of races: the dearer rung is launched after half of it."""


class Moment(enum.Enum):
    """When a client leaves."""

    HEAD = "before its head was whole"
    BODY = "before its body was whole"
    SENT = "right after its last byte"
    WAITING = "before the first byte of the answer"
    LAUNCH = "around the launch of the dearer rung"
    FIRST = "at the first byte of the answer"
    MIDDLE = "in mid-stream"
    END = "at the last event"
    STAYS = "not at all"


class How(enum.Enum):
    """How a client leaves."""

    CLOSE = "close"
    RESET = "reset"
    HALF = "half-close"
    PIPELINED = "the begin of a further request, and close"


class Plan(msgspec.Struct, frozen=True):
    """One request and its client's leaving. `wait_s` and `share` are where within the moment."""

    mark: str
    moment: Moment
    how: How
    lane: str
    stream: bool
    raced: bool
    provider: str
    model: str
    dialect: str
    body_bytes: int
    wait_s: float
    share: float
    sim: str

    @property
    def silent(self) -> bool:
        """Whether no answer can come: the client is gone before its request is whole."""
        return self.moment in (Moment.HEAD, Moment.BODY)

    def bytes(self, key: str) -> bytes:
        """The request."""
        chat = self.dialect == "chat"
        path = "/v1/chat/completions" if chat else "/v1/responses"
        body: dict[str, Any] = {
            "model": f"{self.provider}/{self.model}",
            "stream": self.stream,
            "metadata": {"simulator": f"mark={self.mark},{self.sim}"},
            **({"start_within": f"{WINDOW_S}s"} if self.raced else {}),
        }

        def with_text(text: str) -> dict[str, Any]:
            return body | ({"messages": [{"role": "user", "content": text}]} if chat else {"input": text})

        filling = "x" * (self.body_bytes - len(msgspec.json.encode(with_text(""))))
        body = with_text(filling)
        return request(path=path, key=key, body=body)


_MOMENTS: dict[Moment, float] = {
    Moment.HEAD: 6, Moment.BODY: 6, Moment.SENT: 10, Moment.WAITING: 20, Moment.LAUNCH: 14, Moment.FIRST: 8,
    Moment.MIDDLE: 16, Moment.END: 10, Moment.STAYS: 10,
}  # fmt: skip
_HOWS = {How.CLOSE: 50, How.RESET: 25, How.HALF: 15, How.PIPELINED: 10}


def draw(rng: Random, mark: str, ordinal: int, moments: dict[Moment, float] | None = None) -> Plan:
    """One plan; `ordinal` is its number among those of its key that are looked at together."""
    weights = moments or _MOMENTS
    moment = rng.choices([*weights], [*weights.values()])[0]
    raced = moment is Moment.LAUNCH or rng.random() < 0.3
    stream = moment is Moment.MIDDLE or rng.random() < 0.6
    frail = rng.random() < 0.04
    long = rng.random() < 0.02
    start_s = rng.uniform(0.005, 0.03)
    tokens, speed = 8, 600
    sim = [f"start={start_s:.4f}", f"tokens={tokens}", f"tokens_per_s={speed}"]
    if raced:
        slow = rng.choice(("0.03", "0.06", "0.2" if frail else "100"))
        sim = [f"flex.start={slow}", f"default.start={start_s:.4f}", f"tokens={tokens}", f"tokens_per_s={speed}"]
        if rng.random() < 0.1:
            sim.append("flex.refuse=flex_unavailable,flex.refusal_after_s=0.01")
    if frail:
        sim.append(rng.choice(("refuse=server_error", "refuse=overloaded", "cut=0", "tokens=8", "tokens=8")))
    wait_s = rng.uniform(0, start_s)
    if moment is Moment.LAUNCH:
        wait_s = rng.uniform(WINDOW_S / 2 - 0.01, WINDOW_S / 2 + 0.012)
    return Plan(
        mark=mark,
        moment=moment,
        how=rng.choices([*_HOWS], [*_HOWS.values()])[0],
        lane="asgi" if rng.random() < 0.1 else "fast",
        stream=stream,
        raced=raced,
        provider="secure" if rng.random() < 0.3 else "plain",
        model=FRAIL if frail else MODEL,
        dialect="chat" if rng.random() < 0.75 else "responses",
        body_bytes=(LONG_BODY_BYTES if long else LEAST_BODY_BYTES) + ordinal,
        wait_s=wait_s,
        share=rng.random(),
        sim=",".join(sim),
    )
