"""Reads the fields of a request that say how it is routed. The rule: what is not ours is left alone.

`provider` is ours when it is a list (OpenRouter's is an object), the others whenever they are set.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from appliance.domain.errors import CallerFault
from appliance.domain.ladder import Step, parse_ladder
from appliance.domain.routing import MOST_ROUTES, NO_OPTIONS, Options, Retry
from appliance.domain.tier import parse_finish_within, parse_start_target
from appliance.wire.body import RequestBody

PLAIN = ("retry", "include_cost", "ladder", "start_target", "finish_within", "preset")
"""Fields that are ours whatever their values."""

FIELDS = frozenset({"provider", *PLAIN})

LONGEST_S = 1e9
"""A bound of any number at all: how long a deadline may be is a setting, which admission looks at."""

T = TypeVar("T")

_CHAIN = msgspec.json.Decoder(Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(min_length=1)])
_RETRY = msgspec.json.Decoder(Retry)


def read_options(body: RequestBody) -> tuple[Options, tuple[str, ...]]:
    """The options, and the names of the fields that are ours and go no further. Raises CallerFault."""
    if FIELDS.isdisjoint(body.names):
        return NO_OPTIONS, ()
    ours: list[str] = []
    chain: tuple[str, ...] = ()
    retry = None
    provider = body.raw("provider")
    if provider is not None and bytes(provider).startswith(b"["):
        chain = _chain(provider)
        ours.append("provider")
    if body.is_set("retry"):
        try:
            retry = _RETRY.decode(body.raw("retry") or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise CallerFault(
                "bad_request",
                "retry has a count from 1 to 5, backoff (exponential or linear) and jitter (true or false).",
                param="retry",
            ) from None
    cost = body.get_bool("include_cost") or False
    ours += [name for name in PLAIN if name in body]
    if not _PROMISES.isdisjoint(ours):
        return Options(chain, retry, cost, *_promises(body)), tuple(ours)
    return Options(chain, retry, cost), tuple(ours)


_PROMISES = frozenset({"ladder", "start_target", "finish_within", "preset"})


def _promises(body: RequestBody) -> tuple[tuple[Step, ...] | None, float | None, float | None, str | None]:
    """Ladder, target, time of the end and preset. Raises CallerFault."""
    return (
        _read(body, "ladder", parse_ladder),
        _read(body, "start_target", parse_start_target),
        _read(body, "finish_within", parse_any_finish),
        body.get_str("preset"),
    )


def parse_any_finish(value: object) -> float:
    """A `finish_within` of any length. Raises ValueError."""
    return parse_finish_within(value, 0.0, LONGEST_S)


def _read(body: RequestBody, name: str, parse: Callable[[object], T]) -> T | None:
    return told(name, body.value(name), parse) if body.is_set(name) else None


def told(name: str, value: object, parse: Callable[[object], T]) -> T:
    """A value of a field of ours as `parse` reads it. Raises CallerFault `invalid_<name>`."""
    try:
        return parse(value)
    except ValueError as error:
        raise CallerFault(f"invalid_{name}", f"{error}.", param=name) from None


def _chain(raw: msgspec.Raw) -> tuple[str, ...]:
    try:
        names = _CHAIN.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CallerFault("invalid_provider_chain", param="provider") from None
    if len(names) > MOST_ROUTES or len(set(names)) != len(names):
        raise CallerFault("invalid_provider_chain", param="provider")
    return tuple(names)
