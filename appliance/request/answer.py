"""What Startline does with a request, in five steps: admit → plan → race → relay → settle. Read this page first.

The rule: whatever happens to a request, it is answered if anyone is left to answer, and settled once, without an
await. Everything from admission to the last byte runs under the call's scope: the client's leaving, a revoked key, a
stop and the time limits all end it in the same way.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import structlog
import trio

from appliance.domain.errors import ApplianceFault, CallerFault, Fault, UpstreamFault
from appliance.domain.identity import ApiKey
from appliance.domain.profile import NO_PROFILES, Profile
from appliance.domain.record import Observed, Settled
from appliance.policy.health import Rules
from appliance.policy.modalities import Modalities
from appliance.policy.plan import Plan
from appliance.policy.prices import PriceTable
from appliance.request.account import Accounts
from appliance.request.admit import Doorkeeper, admit
from appliance.request.bodies import Bodies
from appliance.request.breakers import Breakers
from appliance.request.call import Call, Header, Reply
from appliance.request.compat import compat_headers, name_block
from appliance.request.defect import places
from appliance.request.dialects import DIALECTS
from appliance.request.engine import Engine
from appliance.request.explain import Explainer
from appliance.request.facts import fault_facts, fault_headers, race_headers
from appliance.request.information import Information
from appliance.request.launch import Launcher
from appliance.request.listing import Listing
from appliance.request.observatory import Observatory
from appliance.request.persist import run_persistently
from appliance.request.plan import Planner
from appliance.request.race import run_plan, too_slow
from appliance.request.relay import JSON, relay, stream_headers
from appliance.request.said import HeaderGetter
from appliance.request.settle import settled_record
from appliance.request.slots import Slots
from appliance.request.wishes import Wishes
from appliance.request.work import Work
from appliance.settings import Settings
from appliance.store.ports import Directory, Ledger, Records
from appliance.upstream.transport import Pool
from appliance.wire.dialect import Dialect
from appliance.wire.faults import fault_body
from appliance.wire.kept import KEPT
from appliance.wire.translation.stream import TranslatedStream

log = structlog.get_logger()

BARRIER_S = 2.0
REFUSE_S = 5.0
"""A last word to a client whose call was ended from outside gets this long."""


class Gateway:
    """Answers calls. One for the process; holds what requests share and nothing of any request but `live`."""

    def __init__(
        self,
        *,
        settings: Settings,
        directory: Directory,
        ledger: Ledger,
        records: Records,
        prices: PriceTable,
        pool: Pool,
        unix_s: Callable[[], float],
        on_settled: Callable[[Settled], None],
        on_observed: Callable[[Observed], None],
        profiles: Mapping[str, Profile] = NO_PROFILES,
        modalities: Modalities | None = None,
    ) -> None:
        self.profiles = profiles
        self.settings = settings
        self.directory = directory
        self.ledger = ledger
        self.prices = prices
        self.pool = pool
        self.slots = Slots()
        self.key_slots = Slots()
        self.bodies = Bodies(settings.max_bodies_bytes)
        self.doorkeeper = Doorkeeper(directory, settings.max_failed_keys)
        self.wishes = Wishes(directory, settings)
        self.breakers = Breakers(Rules(settings.breaker_failures, settings.breaker_pause_s))
        self.engine = Engine(prices, settings)
        self.planner = Planner(directory, prices, self.slots, self.breakers, self.engine, settings, profiles)
        self.listing = Listing(self.planner, prices, profiles, modalities)
        self.observatory = Observatory(self.engine, self.breakers, ledger, prices, pool.now_s, on_observed)
        self.live: dict[Call, Work] = {}
        self.information = Information(
            self.listing,
            Accounts(records, self.live, prices),
            Explainer(
                self.planner, self.engine, self.breakers, self.doorkeeper, self.wishes, settings, self.bodies, unix_s
            ),
            self.doorkeeper,
            self.key_slots,
            settings.max_requests_per_key,
        )
        self.unix_s = unix_s
        self.now_s = pool.now_s
        self._on_settled = on_settled

    def identify(self, get: HeaderGetter, query: bytes, address: str | None) -> ApiKey:
        """Who asks. Raises CallerFault."""
        return self.doorkeeper.identify(get, query, address, self.unix_s())

    def identify_again(self, key: ApiKey, get: HeaderGetter, query: bytes, address: str | None) -> ApiKey:
        """Who asks, where the same credential was `key`'s before: whether it may still ask. Raises CallerFault."""
        if self.directory.key(key.public_id) is not key:
            return self.identify(get, query, address)
        self.doorkeeper.access(key).check(now_unix_s=self.unix_s(), address=address)
        return key

    def revoked(self, key: ApiKey) -> None:
        """End the requests of a key that may no longer ask; a key that changed but is still good ends none."""
        if key.revoked_unix_s is None and (key.expires_unix_s is None or key.expires_unix_s > self.unix_s()):
            return
        for call in [call for call in self.live if call.key.key_id == key.key_id]:
            call.leave("revoked")
        self.observatory.revoked(key.key_id)
        self.engine.answers.known.forget(key.key_id)

    def pulse(self, now_s: float, comment_s: float) -> None:
        """Look at every request in work: comments for silent streams, an end to silent providers."""
        if self.breakers.suspects or self.breakers.races.suspects:
            self.breakers.sweep(now_s)
        idle_s, start_s = self.settings.idle_timeout_s, self.settings.first_content_timeout_s
        for call, work in list(self.live.items()):
            winner, reply = work.winner, call.reply
            if reply.busy:  # the client is the one that is slow; the provider's silence counts from when it is not
                if winner is not None:
                    winner.touched_s = now_s
                    work.held_up = True
                continue
            if winner is None:
                if now_s - call.arrived_s >= start_s:
                    call.leave("too_slow")
                    continue
            elif winner.end == "running" and now_s - winner.touched_s >= idle_s:
                call.leave("idle")
                continue
            if work.admitted is None or not work.admitted.asked.stream or work.dialect is None or reply.ended:
                continue
            last_s = max(call.arrived_s, reply.commented_s, winner.touched_s if winner is not None else 0.0)
            if now_s - last_s >= comment_s:
                named = (b"x-startline-request-id", call.request_id.encode())
                framing = work.admitted.asked.framing
                reply.keep_alive([*stream_headers(framing), named], work.dialect.keep_alive(framing), now_s)
                work.status = 200

    # -- one request ---------------------------------------------------------------------------------------------------

    async def answer(self, call: Call) -> None:
        """Answer one call and settle it, within `call.scope`. Raises nothing but Cancelled.

        Also when it raises that, because of `call.leave` or a stop, the client has had its last word and all is done.
        """
        if call.endpoint.here:
            try:
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._inform(call)
            finally:
                self._let_go(call)
            return
        work = self.live[call] = Work(call)
        try:
            try:
                await self._steps(call, work)
            except Fault as fault:
                work.fault = fault
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                call.cause = call.cause or "client_gone"
                work.fault = CallerFault("client_gone")
            except Exception as bug:  # noqa: BLE001 - logged, and answered with internal_error
                self._log_bug(bug, call)
                work.fault = ApplianceFault("internal_error")
            if work.fault is not None:
                await self._last_word(call, work, work.fault)
            self._settle(call, work)
            if work.winner is not None and work.winner.stream:
                await work.winner.drain()
        except BaseException:  # ended from outside; if the whole answer went out before, that makes it no failure
            call.cause = call.cause or "shutdown"
            if not call.reply.ended and work.fault is None:
                work.fault = self._ended_from_outside(call)
                with trio.move_on_after(REFUSE_S, shield=True):
                    await self._last_word(call, work, work.fault)
            raise
        finally:
            del self.live[call]
            if work.counted:
                self.key_slots.give_back(call.key.key_id)
            if call.held_bytes:
                self._let_go(call)
            if not work.settled:
                self._settle(call, work)
            work.close_attempts()
            work.forget_frames()

    async def _steps(self, call: Call, work: Work) -> None:
        self.ledger.check()
        self.bodies.check()
        work.counted = self.key_slots.take(call.key.key_id, self.settings.max_requests_per_key)
        if not work.counted:
            raise CallerFault("too_many_requests_of_key", retry_after_s=1)
        endpoint = call.endpoint
        dialect = work.dialect = (KEPT if endpoint.kept else DIALECTS)[endpoint.dialect]
        access = self.doorkeeper.still(call.key, call.peer, self.unix_s)
        work.admitted = await admit(call, dialect, self.wishes, access, self.settings, self.bodies)
        try:
            plan = work.plan = self.planner.plan(work)
            if work.translation is not None:
                plan = work.plan = await work.translation.prepare(plan, self.bodies.decompressing)
            await self._race(call, work, plan, dialect)
        finally:
            if work.racing:
                self.slots.give_back(call.key.organisation_id)
            if not work.attempts:
                self.engine.purses.forgo(work)
            if work.prospect is not None or self.breakers.races.suspects:
                self.breakers.races.ended(work, self.now_s(), self.settings.first_content_timeout_s)
        winner = work.winner
        if winner is None:
            raise ApplianceFault("internal_error")
        work.admitted.asked.body.forget()  # a stream may last for minutes, and nobody needs the prompt any more
        call.body = b""
        if work.translation is not None:
            work.translation.forget()
        if winner.whole is None:
            self._let_go(call)
        await relay(call, work, winner, dialect, self)

    def _let_go(self, call: Call) -> None:
        if call.held_bytes:
            self.bodies.give_back(call.held_bytes)
            call.held_bytes = 0

    def hold(self, call: Call, size_bytes: int) -> None:
        """Count a part of an answer that is held whole, until the call ends."""
        self.bodies.add(size_bytes)
        call.held_bytes += size_bytes

    async def _inform(self, call: Call) -> None:
        named = (b"x-startline-request-id", call.request_id.encode())
        fault: Fault
        try:
            body = await self.information.body(call)
        except Fault as refused:
            fault = refused
        except Exception as bug:  # noqa: BLE001 - logged, and answered with internal_error
            self._log_bug(bug, call)
            fault = ApplianceFault("internal_error")
        else:
            await call.reply.whole(200, [named, JSON], body)
            return
        await self.refuse(call.reply, fault, call.request_id, self.information.dialect(call))

    async def _race(self, call: Call, work: Work, plan: Plan, dialect: Dialect) -> None:
        launcher = Launcher(self, call, work, plan, dialect)
        retry = work.admitted.asked.options.retry if work.admitted is not None else None
        try:
            if retry is None:
                await run_plan(work, plan, launcher)
            else:
                await run_persistently(work, plan, launcher, retry)
        finally:
            launcher.land()
            if work.attempts:  # in a chain not always the first provider
                work.provider = (work.winner or work.attempts[-1]).target.provider

    # -- the end -------------------------------------------------------------------------------------------------------

    async def make_durable(self, call: Call, work: Work) -> None:
        """strict: the record first, then the end of the answer. Raises ApplianceFault("store_unavailable")."""
        if self.settings.durability != "strict":
            return
        self._settle(call, work)
        try:
            with trio.fail_after(BARRIER_S):
                await self.ledger.barrier()
        except trio.TooSlowError:
            raise ApplianceFault("store_unavailable") from None

    def _settle(self, call: Call, work: Work) -> None:
        if work.settled:
            return
        work.settled = True
        work.client_gone = call.cause == "client_gone"
        if work.client_gone:  # whatever else was about to be told, or handed to a socket that nobody reads
            if work.fault is None or work.fault.kind.code != "internal_error":
                work.fault = CallerFault("client_gone")
            if not call.reply.started:
                work.status = 499
        now_s = self.now_s()
        self.breakers.settled(work, now_s, self.settings.first_content_timeout_s)
        settled = settled_record(work, self.prices, now_s)
        if work.prospect is not None or work.model in self.engine.watched:  # what was reserved is given back
            self.engine.settled(work, settled.request, now_s)
        self.ledger.settle(settled)
        if work.lingering:
            self.observatory.settled(work, settled)
        self._on_settled(settled)

    def _ended_from_outside(self, call: Call) -> Fault:
        match call.cause:
            case "too_slow":
                return too_slow()
            case "idle":
                return UpstreamFault("provider_too_slow", "The provider fell silent within its answer.", phase="stream")
            case "revoked":
                return CallerFault("revoked_api_key")
            case "shutdown":
                return ApplianceFault("shutting_down")
            case _:
                return CallerFault("client_gone")

    async def _last_word(self, call: Call, work: Work, fault: Fault) -> None:
        """Tell the client what went wrong: as an answer, or as the event that ends its stream."""
        if isinstance(fault, UpstreamFault) and not fault.provider and work.provider is not None:
            fault.provider = work.provider.name  # a silence was seen by us, not by the attempt
        work.close_attempts()
        reply, admitted = call.reply, work.admitted
        if fault.kind.code == "client_gone":
            work.status = work.status or 499
            return
        try:
            if not reply.started:
                work.status = fault.status
                facts = race_headers(work, self.prices)
                facts += compat_headers(self.settings, facts)
                await self.refuse(reply, fault, call.request_id, call.endpoint.dialect, facts)
            elif not reply.ended and work.dialect is not None and admitted is not None and admitted.asked.stream:
                reader = work.winner.reader if work.winner is not None else None
                name_block(self.settings, fault)
                if isinstance(reader, TranslatedStream):
                    event = reader.failure(fault)
                else:
                    event = work.dialect.error_event(
                        fault,
                        sequence_number=reader.sequence_number if reader is not None else 0,
                        response_id=reader.response_id if reader is not None else None,
                        request_id=call.request_id,
                        framing=admitted.asked.framing,
                    )
                await reply.end(fault_facts(work, fault) + event if work.dialect.COMMENTS else event)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            call.cause = call.cause or "client_gone"

    async def refuse(
        self,
        reply: Reply,
        fault: Fault,
        request_id: str,
        dialect: str = "openai_chat",
        more: Sequence[Header] = (),
    ) -> None:
        """Answer with a fault, in the caller's dialect. Raises trio.BrokenResourceError when the client is gone."""
        name_block(self.settings, fault)
        body, kind = fault_body(fault, dialect, request_id)
        own = more or ((b"x-startline-request-id", request_id.encode()),)
        await reply.whole(fault.status, [*own, (b"content-type", kind), *fault_headers(fault)], body)

    def _log_bug(self, bug: BaseException, call: Call) -> None:
        log.error("request_failed", request_id=call.request_id, exception=type(bug).__name__, frames=places(bug))
