"""First step: who asks, and for what. The rule: everything that can be refused without a provider is refused here.

`identify` looks at the head alone, so that a stranger's body is never read; `admit` reads the body once.
"""

from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec
import trio

from appliance.domain.errors import CallerFault
from appliance.domain.identity import ApiKey, KeyKind
from appliance.domain.ladder import Step
from appliance.domain.preset import MARK, split_preset
from appliance.domain.routing import NO_OPTIONS
from appliance.domain.tier import TIER_WORDS, StartWithin
from appliance.policy.access import Access
from appliance.policy.address import neighbourhood
from appliance.policy.failures import Failures
from appliance.request.bodies import Bodies
from appliance.request.call import Call
from appliance.request.said import HeaderGetter, said_by
from appliance.request.wishes import Defaults, Wishes
from appliance.settings import Settings
from appliance.store.keys import MalformedKey, TruncatedKey, check_token, parse_key, verify
from appliance.store.ports import Directory
from appliance.wire.body import RequestBody, decompress
from appliance.wire.dialect import Asked, Dialect

LONGEST_TIER = 64
"""Characters of a provider's own tier that may pass: it is kept with the plans, and told in headers."""

NOTHING = RequestBody({}, 0)

INLINE_BYTES = 262_144
"""A compressed body of this size, or that becomes larger, is decompressed in a thread: it would hold up the others."""


def credential(get: HeaderGetter, query: bytes) -> str | None:
    """The API key of a request, wherever the client's SDK puts it; None if there is none."""
    found = get(b"authorization")
    if found is not None:
        scheme, _, token = found.partition(b" ")
        found = token.strip() if scheme.lower() == b"bearer" else None
    if not found:
        found = get(b"x-api-key") or get(b"x-goog-api-key")
    if not found and b"key=" in query:
        values = parse_qs(query.decode("latin-1")).get("key")
        return values[0] if values else None
    return found.decode("latin-1") if found else None


class Doorkeeper:
    """Checks credentials. Compiled restrictions of keys are kept beside the directory's immutable key objects.

    `most_failures`: keys that are not good, of one client address within an hour, before it gets 429 for them.
    """

    def __init__(self, directory: Directory, most_failures: int = 0) -> None:
        self._directory = directory
        self.failures = Failures(most_failures)
        self._access: dict[str, tuple[ApiKey, Access]] = {}

    def identify(
        self,
        get: HeaderGetter,
        query: bytes,
        address: str | None,
        now_unix_s: float,
        kind: KeyKind = "inference",
    ) -> ApiKey:
        """The key that asks. Raises CallerFault: missing, invalid, truncated, revoked, expired, wrong kind, address.

        Or too_many_failed_keys, for a key that is not good from an address that had too many of them (policy/failures).
        """
        token = credential(get, query)
        if token is None:
            raise CallerFault("missing_api_key")
        try:
            return self._check(token, address, now_unix_s, kind)
        except CallerFault as fault:
            if fault.klass == "authentication" and address is not None:
                wait_s = self.failures.failed(neighbourhood(address), now_unix_s)
                if wait_s:
                    raise CallerFault("too_many_failed_keys", retry_after_s=wait_s) from None
            raise

    def _check(self, token: str, address: str | None, now_unix_s: float, kind: KeyKind) -> ApiKey:
        key = None
        try:
            _, public_id = parse_key(token)
            key = self._directory.key(public_id)
            if not verify(token, key):
                check_token(token)
                raise CallerFault("invalid_api_key")
        except TruncatedKey:
            raise CallerFault("invalid_api_key", "The API key is cut short or mistyped.") from None
        except MalformedKey:
            raise CallerFault("invalid_api_key", "This is not an API key of Startline.") from None
        if key is None:
            raise CallerFault("invalid_api_key")
        self.access(key).check(now_unix_s=now_unix_s, address=address, kind=kind)
        return key

    def still(self, key: ApiKey, address: str | None, unix_s: Callable[[], float]) -> Access:
        """The restrictions of a key that was good when its request's head came; its body may have taken a while.

        Raises CallerFault if the key was changed meanwhile so that it may no longer ask.
        """
        now = self._directory.key(key.public_id)
        if now is key:
            return self.access(key)
        if now is None:
            raise CallerFault("invalid_api_key")
        access = self.access(now)
        access.check(now_unix_s=unix_s(), address=address, kind=now.kind)
        return access

    def access(self, key: ApiKey) -> Access:
        """The compiled restrictions of a key."""
        known = self._access.get(key.key_id)
        if known is None or known[0] is not key:
            if len(self._access) > 100_000:
                self._access.clear()
            known = (key, Access(key))
            self._access[key.key_id] = known
        return known[1]


class Admitted(msgspec.Struct, frozen=True):
    """A request that may go on: what was asked, and the tier wish that holds for it.

    `passed_tier`: a service tier of the provider's own that passes unchanged, unraced. `by_default`: the request itself
    has no wish; one that cannot be had is then no fault of the caller's. `meant`: the model that is meant where the
    request names a preset in its model's place. `ladder`: who is asked, whatever the model. `preset`: the name of the
    one that was used.
    """

    asked: Asked
    wish: StartWithin
    passed_tier: str | None
    by_default: bool = False
    meant: str | None = None
    ladder: tuple[Step, ...] | None = None
    preset: str | None = None

    @property
    def model(self) -> str:
        """The model that is asked for, as a caller names it."""
        return self.asked.model if self.meant is None else self.meant


async def admit(
    call: Call, dialect: Dialect, wishes: Wishes, access: Access, settings: Settings, bodies: Bodies
) -> Admitted:
    """Read the body and the wish. Raises CallerFault, or ApplianceFault("too_many_bodies")."""
    if call.endpoint.kept:  # it has no body, and no model that could be another than was allowed when it was made
        return Admitted(dialect.read_request(NOTHING, None, call.argument, call.query), "default", None)
    body, get = call.body, call.get
    encoding = get(b"content-encoding")
    if encoding is not None and encoding != b"identity":
        body = await _decompressed(encoding, body, settings.max_body_bytes, bodies.decompressing)
        bodies.take(len(body))
        call.held_bytes += len(body)
    asked = dialect.read_request(RequestBody.decode(body), get(b"x-start-within"), call.argument, call.query)
    defaults = wishes.of(call.key)
    if (
        asked.service_tier is not None
        or (asked.options is not NO_OPTIONS and asked.options.promises)
        or defaults.special
        or MARK in asked.model
        or get(b"x-finish-within") is not None
        or get(b"x-start-target") is not None
    ):
        return _admitted(call, asked, defaults, wishes, access)
    access.check_model(asked.model)
    start = asked.start_within
    if start is None:
        return Admitted(asked, defaults.wish, None, True)
    return Admitted(asked, wishes.beside(defaults, start), None)


def _admitted(call: Call, asked: Asked, defaults: Defaults, wishes: Wishes, access: Access) -> Admitted:
    """The wish of a request that says something of it, or whose key has a preset or a ladder. Raises CallerFault."""
    bare, name = split_preset(asked.model)
    meant = None
    if name is None:
        name = asked.options.preset
        access.check_model(asked.model)
    else:
        meant = bare
    trusted = name is None or access.allows_model(MARK + name)
    if name is not None:
        defaults = wishes.with_preset(call.key, name)
        if (preset := defaults.preset) is None:
            raise defaults.fault()
        if bare and meant is not None:
            access.check_model(bare)
            defaults = defaults.without_ladder()  # the model was named to be asked, in place of what the preset names
        elif meant is not None:
            meant = preset.model or ""
            if meant and not trusted:
                access.check_model(meant)
    tier, own = asked.service_tier, said_by(asked, call.get)
    wish: StartWithin = "default"
    ladder: tuple[Step, ...] | None = None
    passed: str | None = None
    used = None if defaults.preset is None else defaults.preset.name
    if tier is not None and (own.finish_s is not None or own.ladder is not None):
        field = "ladder" if own.finish_s is None else "finish_within"
        raise CallerFault("service_tier_not_allowed", f"Send {field} or service_tier, not both.", param="service_tier")
    if tier is not None and tier not in TIER_WORDS:
        if len(tier) > LONGEST_TIER:
            raise CallerFault("bad_request", "service_tier is too long.", param="service_tier")
        passed = tier
    else:
        wishes.check(own)
        if defaults.trouble is not None and (own.start is None or defaults.trouble[0] == "preset_not_found"):
            raise defaults.fault()
        wish, ladder = wishes.resolve((own, *defaults.said))
    if ladder is not None and (ladder is own.ladder or (ladder is defaults.preset_ladder and not trusted)):
        for step in ladder:
            access.check_model(step.model, f"{step.provider}/{step.model}")
    if meant == "" and (ladder is None or not call.endpoint.tiered):
        raise CallerFault("missing_model", "This preset names no model.", param="model")
    by_default = tier is None and own.start is None and own.finish_s is None
    return Admitted(asked, wish, passed, by_default, meant, ladder, used)


async def _decompressed(encoding: bytes, body: bytes, limit_bytes: int, threads: trio.CapacityLimiter) -> bytes:
    """The body as it was before its content-encoding; a hundred bytes may stand for megabytes. Raises CallerFault."""
    if len(body) < INLINE_BYTES:
        try:
            return decompress(encoding, body, min(limit_bytes, INLINE_BYTES))
        except CallerFault as fault:
            if fault.kind.code != "request_too_large":
                raise
    return await trio.to_thread.run_sync(decompress, encoding, body, limit_bytes, limiter=threads)
