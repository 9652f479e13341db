"""Embeddings for a caller of OpenAI's dialect at a provider of Gemini's, or the other way; see `translate.py`."""

import msgspec
import trio

from appliance.domain.catalog import Rung
from appliance.domain.errors import ApplianceFault, CallerFault
from appliance.policy.plan import Plan
from appliance.request.call import Header
from appliance.request.dialects import DIALECTS
from appliance.wire.dialect import Asked, Dialect, StreamReader
from appliance.wire.translation.embeddings import (
    BATCH,
    answer_to_gemini,
    answer_to_openai,
    to_gemini,
    to_openai,
    wants_base64,
)

OPENAI, GEMINI = "openai_embeddings", "gemini_unary"


def spoken_instead(dialect: str, argument: str) -> str | None:
    """The dialect in which a provider may be asked for embeddings instead of this one; None: it asks for none."""
    if dialect == OPENAI:
        return GEMINI
    return OPENAI if dialect == GEMINI and argument.rpartition(":")[2] in (BATCH, "embedContent") else None


class EmbeddingTranslation:
    """One request for embeddings in the other dialect. `foreign`: the names of the providers that are asked in it."""

    __slots__ = ("_body", "_foreign", "_from", "_given", "_packed", "_prepared", "asked", "dropped", "unsaid")

    def __init__(self, dialect: str, asked: Asked, foreign: frozenset[str]) -> None:
        self._from = dialect
        self._foreign = foreign
        self._given = asked
        self._body = b""
        self._packed = False
        self._prepared: dict[Rung, bytes] = {}
        self.asked = asked if dialect == GEMINI else msgspec.structs.replace(asked, action=BATCH)
        self.dropped: dict[str, None] = {}
        self.unsaid: tuple[Rung, ...] = ()

    async def prepare(self, plan: Plan, threads: trio.CapacityLimiter) -> Plan:
        """The plan, as `Translation.prepare` gives it. Raises CallerFault if its first rung cannot be asked this."""
        self._body = self._given.body.encode(dict.fromkeys(self._given.ours))
        if self._from == OPENAI:
            self._packed = wants_base64(self._body)
        unsaid: list[Rung] = []
        for planned in plan.rungs:
            rung = planned.rung
            if rung.provider in self._foreign:
                try:
                    self._prepared[rung] = self._write(rung)
                except CallerFault:
                    if planned is plan.rungs[0]:
                        raise
                    unsaid.append(rung)
        self.unsaid = tuple(unsaid)
        kept = tuple([planned for planned in plan.rungs if planned.rung not in unsaid])
        return plan if not unsaid else msgspec.structs.replace(plan, rungs=kept)

    def _write(self, rung: Rung) -> bytes:
        if self._from == OPENAI:
            return to_gemini(self._body, rung.model)
        return to_openai(self._body, rung.model, self._given.action)

    def dialect(self, provider: str) -> Dialect | None:
        """The dialect in which this provider is asked; None: the caller's own."""
        if provider not in self._foreign:
            return None
        return DIALECTS[GEMINI if self._from == OPENAI else OPENAI]

    def body(self, rung: Rung) -> bytes:
        """What is sent to a rung."""
        found = self._prepared.get(rung)
        if found is None:
            raise ApplianceFault("internal_error")
        return found

    def reader(self, inner: StreamReader, rung: Rung) -> StreamReader:
        """Nothing: embeddings do not stream."""
        raise ApplianceFault("internal_error")

    def forget(self) -> None:
        """Let the request go: an answer has started."""
        self._body = b""
        self._prepared.clear()

    def headers(self) -> list[Header]:
        """What the caller is told: the dialect that was spoken for it."""
        return [(b"x-startline-translated", (GEMINI if self._from == OPENAI else OPENAI).encode())]

    def whole(self, body: bytes, rung: Rung) -> bytes:
        """The answer in the caller's dialect. Raises UpstreamFault."""
        if self._from == OPENAI:
            return answer_to_openai(body, rung.model, base64_wanted=self._packed)
        return answer_to_gemini(body, self._given.action)
