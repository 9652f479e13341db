"""A request for a provider that does not speak the caller's dialect. The rule: what can be refused is, before a call.

The request is read once, and written once for each rung that is asked; its answer comes back event by event, or whole.
Where caller and provider agree there is no `Translation`, and nothing here is called.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
import trio

from appliance.domain.catalog import Provider, Rung
from appliance.domain.chat import Conversation
from appliance.domain.errors import ApplianceFault, CallerFault
from appliance.domain.profile import NOTHING_KNOWN, Profile
from appliance.domain.tier import TIER_WORDS, canonical_tier
from appliance.policy.plan import Plan
from appliance.request.admit import Admitted
from appliance.request.call import Call, Header
from appliance.request.dialects import DIALECTS
from appliance.wire.dialect import Asked, Dialect, StreamReader
from appliance.wire.translation.codec import Codec, Reply, Source, Target, Written
from appliance.wire.translation.codecs import CODECS
from appliance.wire.translation.stream import TranslatedStream
from appliance.wire.translation.targets import home, most_output_tokens, quirks
from appliance.wire.translation.utf8 import as_utf8

_BY_NAME: Final[Mapping[str, Codec]] = {str(name): codec for name, codec in CODECS.items()}

INLINE_BYTES = 262_144
"""A body larger than this is read and written in a thread: it would hold up the others."""

Providers = Mapping[str, tuple[Provider, tuple[str, ...]]]
"""By name: the providers that are asked in another dialect than the caller's, and in which ones they can be."""


class Translation:
    """One request in as many dialects as its providers need. `dropped`: what was left out, by the table of losses.

    `unsaid`: rungs of a chain that cannot be asked this, and are not.
    """

    __slots__ = (
        "_codec",
        "_conversation",
        "_dialects",
        "_lenient",
        "_profiles",
        "_providers",
        "_reply",
        "_stream",
        "_written",
        "asked",
        "dropped",
        "unsaid",
    )

    def __init__(
        self,
        call: Call,
        asked: Asked,
        providers: Providers,
        profiles: Mapping[str, Profile],
        *,
        lenient: bool = False,
    ) -> None:
        self._codec = _BY_NAME[call.endpoint.dialect]
        self.asked = asked
        self._providers = providers
        self._profiles = profiles
        self._lenient = lenient
        self._reply = Reply(
            id=call.request_id,
            model=asked.model,
            created=call.at_unix_us // 1_000_000,
            include_usage=asked.include_usage,
            framing=asked.framing,
        )
        self._stream = False
        self._conversation: Conversation | None = None
        self._dialects: dict[str, str] = {}  # of providers, as chosen
        self._written: dict[Rung, Written] = {}
        self.dropped: dict[str, None] = {}
        self.unsaid: tuple[Rung, ...] = ()

    # -- the request ---------------------------------------------------------------------------------------------------

    async def prepare(self, plan: Plan, threads: trio.CapacityLimiter) -> Plan:
        """The plan, without those rungs after the first that cannot be asked this. Raises CallerFault if the first is.

        `lenient`: the first may be left out, too, as long as another is left. Each provider's dialect is chosen here:
        the first of its dialects that can say the request.
        """
        self._stream = self.asked.stream or plan.streams
        if self.asked.body.size_bytes > INLINE_BYTES:
            return await trio.to_thread.run_sync(self._prepare, plan, limiter=threads)
        return self._prepare(plan)

    def _prepare(self, plan: Plan) -> Plan:
        unreadable = self._read(plan)
        faults: dict[tuple[str, str], CallerFault | None] = {}
        unsaid: dict[Rung, CallerFault] = {}
        for planned in plan.rungs:
            rung = planned.rung
            if rung.provider not in self._providers:
                continue
            named = (rung.provider, rung.model)
            if named not in faults:
                faults[named] = unreadable or self._choose(rung)
            if (fault := faults[named]) is not None:
                unsaid[rung] = fault
        if not unsaid:
            return plan
        if len(unsaid) == len(plan.rungs) or (plan.rungs[0].rung in unsaid and not self._lenient):
            raise next(iter(unsaid.values()))
        self.unsaid = tuple(unsaid)
        return plan.without(self.unsaid)

    def _read(self, plan: Plan) -> CallerFault | None:
        """Read the request. The fault of one that cannot be, where some rung needs no translation; else raises it."""
        try:
            self._conversation = self._codec.read_request(self.asked.body.encode({}))
        except CallerFault as fault:
            if not self._lenient or all(planned.rung.provider in self._providers for planned in plan.rungs):
                raise
            return fault.with_traceback(None)
        return None

    def _choose(self, rung: Rung) -> CallerFault | None:
        """Find the dialect that this rung's provider is asked in. The fault of the best of them, if there is none."""
        first: CallerFault | None = None
        chosen = self._dialects.get(rung.provider)
        for name in self._providers[rung.provider][1] if chosen is None else (chosen,):
            try:
                self._written[rung] = self._write(rung, name)
            except CallerFault as fault:
                first = first or fault.with_traceback(None)
            else:
                self._dialects[rung.provider] = name
                return None
        return first or CallerFault("dialect_unsupported", param="model")

    def _write(self, rung: Rung, name: str) -> Written:
        if self._conversation is None:
            raise ApplianceFault("internal_error")
        provider = self._providers[rung.provider][0]
        profile = self._profiles.get(provider.profile, NOTHING_KNOWN)
        target = Target(
            model=rung.model,
            home=home(provider),
            stream=self._stream,
            tier=rung.tier,
            most_output_tokens=most_output_tokens(rung.model),
            quirks=quirks(provider, rung.model, profile.quirks),
        )
        return _BY_NAME[name].write_request(self._conversation, target)

    def dialect(self, provider: str) -> Dialect | None:
        """The dialect in which this provider is asked; None: the caller's own."""
        name = self._dialects.get(provider)
        return None if name is None else DIALECTS[name]

    def body(self, rung: Rung) -> bytes:
        """What is sent to a rung. Raises CallerFault."""
        written = self._written.get(rung)
        if written is None:
            written = self._written[rung] = self._write(rung, self._dialects[rung.provider])
        self.dropped.update(dict.fromkeys(written.dropped))
        return written.body

    def forget(self) -> None:
        """Let the request go: an answer has started."""
        self._conversation = None
        self._written.clear()

    # -- the answer ----------------------------------------------------------------------------------------------------

    def reader(self, inner: StreamReader, rung: Rung) -> StreamReader:
        """What reads the provider's stream and gives out the caller's."""
        codec = _BY_NAME[self._dialects[rung.provider]]
        return TranslatedStream(inner, codec.answer_reader(self._source(rung)), self._codec.answer_writer(self._reply))

    def whole(self, body: bytes, rung: Rung) -> bytes:
        """A whole answer of the provider's as one of the caller's dialect. Raises UpstreamFault."""
        codec = _BY_NAME[self._dialects[rung.provider]]
        return self._codec.write_answer(codec.read_answer(as_utf8(body), self._source(rung)), self._reply)

    def headers(self) -> list[Header]:
        """What the caller is told: the dialect that was spoken for it, and what was left out."""
        told = [(b"x-startline-translated", ", ".join(dict.fromkeys(self._dialects.values())).encode())]
        if self.dropped:
            told.append((b"x-startline-dropped", ", ".join(self.dropped).encode()))
        return told

    def _source(self, rung: Rung) -> Source:
        provider = self._providers[rung.provider][0]
        return Source(home=home(provider), provider=provider.name, tier_asked=rung.tier)


def in_other_words(admitted: Admitted) -> Admitted:
    """A service tier in the words of the caller's dialect, as a wish in ours. Raises CallerFault if it is none of them.

    Anthropic's `standard_only` is no word of OpenAI's, but both mean the standard tier.
    """
    tier = admitted.passed_tier
    if tier is None:
        return admitted
    wish = canonical_tier(tier)
    if wish not in TIER_WORDS:
        raise CallerFault("inexpressible", "This provider knows no such service tier.", param="service_tier")
    return msgspec.structs.replace(admitted, wish=wish, passed_tier=None)  # it is one of the words
