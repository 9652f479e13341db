"""Fourth step: the answer to the client: whole, as a stream, or assembled. The rule: nothing broken ends cleanly.

What agrees in dialect passes byte for byte. A stream's terminal event is held until the record is safe, where that was
asked for; a provider's fault in mid-stream is raised, so that the last word is an error event.
"""

from collections.abc import Callable
from typing import Protocol

from appliance.domain.errors import ApplianceFault, UpstreamFault
from appliance.net.stream import RECEIVE_BYTES
from appliance.policy.prices import PriceTable
from appliance.request.call import Call, Header
from appliance.request.compat import compat_headers
from appliance.request.facts import cost_facts, race_headers, stream_facts
from appliance.request.work import Work
from appliance.settings import Settings
from appliance.upstream.attempt import Attempt
from appliance.upstream.headers import to_client
from appliance.wire.dialect import Dialect, Framing, NotAssemblable

_NO_CACHE: Header = (b"cache-control", b"no-cache")
STREAM_HEADERS: tuple[Header, ...] = ((b"content-type", b"text/event-stream; charset=utf-8"), _NO_CACHE)
JSON: Header = (b"content-type", b"application/json")
ARRAY_HEADERS: tuple[Header, ...] = (JSON, _NO_CACHE)


def stream_headers(framing: Framing) -> tuple[Header, ...]:
    """The headers that say what a stream is."""
    return STREAM_HEADERS if framing == "sse" else ARRAY_HEADERS


class Relaying(Protocol):
    """What relaying needs of the gateway."""

    settings: Settings
    prices: PriceTable
    now_s: Callable[[], float]

    def hold(self, call: Call, size_bytes: int) -> None:
        """Count a part of an answer that is held."""
        ...

    async def make_durable(self, call: Call, work: Work) -> None:
        """Return when the record may be relied on, as the setting `durability` says."""
        ...


async def relay(call: Call, work: Work, winner: Attempt, dialect: Dialect, gateway: Relaying) -> None:
    """Send the winner's answer. Raises Fault, or trio.BrokenResourceError when the client is gone."""
    body = winner.whole
    if body is not None:
        body = _read_whole(work, winner, dialect, body)
    elif work.admitted is not None and work.admitted.asked.stream:
        await _stream(call, work, winner, dialect, gateway, work.admitted.asked.framing)
        return
    else:
        body = await _assembled(call, work, winner, dialect, gateway)
    work.status = 200
    work.answered_s = gateway.now_s()
    headers = race_headers(work, gateway.prices)
    if gateway.settings.compat != "none":
        headers += compat_headers(gateway.settings, headers)
    headers.append(JSON)
    if winner.head is not None:
        headers += to_client(winner.head.headers)
    await gateway.make_durable(call, work)
    await call.reply.whole(200, headers, body)


def _read_whole(work: Work, winner: Attempt, dialect: Dialect, body: bytes) -> bytes:
    """Take note of a whole answer; what the client gets of it."""
    try:
        answer = winner.dialect.read_answer(body, provider=winner.target.provider.name, tier_asked=winner.rung.tier)
        if winner.dialect is not dialect and work.translation is not None:
            body = work.translation.whole(body, winner.rung)
    except UpstreamFault as fault:
        winner.fault = fault
        work.winner = None
        raise
    work.tokens, work.response_id = answer.usage, answer.response_id
    work.tier_served = winner.tier_told or answer.tier
    return body


async def _assembled(call: Call, work: Work, winner: Attempt, dialect: Dialect, gateway: Relaying) -> bytes:
    assembler, reader = winner.dialect.Assembler(), winner.reader
    if reader is None:
        raise ApplianceFault("internal_error")
    events = winner.first
    size_bytes = 0
    try:
        while events:
            size_bytes += len(events)
            if size_bytes > gateway.settings.max_answer_bytes:
                raise _unfit(winner, "The answer is larger than max_answer_bytes.")
            if size_bytes > RECEIVE_BYTES:
                gateway.hold(call, len(events))
            assembler.feed(events)
            events = await winner.more()
        _take_facts(work, winner)
        if winner.fault is not None:
            raise winner.fault
        assembler.feed(reader.terminal_event or b"")
        body = assembler.result()
        if winner.dialect is not dialect and work.translation is not None:
            body = work.translation.whole(body, winner.rung)
        return body
    except NotAssemblable:
        raise _unfit(winner, "The streamed answer could not be assembled.") from None


async def _stream(
    call: Call, work: Work, winner: Attempt, dialect: Dialect, gateway: Relaying, framing: Framing
) -> None:
    reply, reader = call.reply, winner.reader
    if reader is None:
        raise ApplianceFault("internal_error")
    work.status = 200
    work.answered_s = gateway.now_s()
    _take_facts(work, winner)
    if reply.started:  # a keep-alive comment went before: what the headers would have said follows as a comment
        facts = stream_facts(work, gateway.prices) if dialect.COMMENTS else b""
        await reply.send(facts + winner.first)
    else:
        headers = [*stream_headers(framing), *race_headers(work, gateway.prices)]
        headers += compat_headers(gateway.settings, headers)
        if winner.head is not None:
            headers += to_client(winner.head.headers)
        await reply.start(headers, winner.first)
    while events := await winner.more():
        await reply.send(events)
    _take_facts(work, winner)
    if winner.fault is not None:
        raise winner.fault
    last = reader.terminal_event or b""
    if work.admitted is not None and work.admitted.asked.options.include_cost:
        told = cost_facts(work, gateway.prices)
        last = dialect.cost_event(told, sequence_number=reader.sequence_number) + last
    await gateway.make_durable(call, work)
    await reply.end(last)


def _take_facts(work: Work, winner: Attempt) -> None:
    reader = winner.reader
    if reader is not None:
        work.tier_served, work.response_id = winner.tier_told or reader.tier, reader.response_id
        if reader.usage is not None:
            work.tokens = reader.usage


def _unfit(winner: Attempt, detail: str) -> UpstreamFault:
    """The fault of a winner whose answer turned out to be of no use; it is the attempt's fault too."""
    fault = UpstreamFault("provider_garbled", detail, provider=winner.target.provider.name, phase="body")
    winner.fault = fault
    return fault
