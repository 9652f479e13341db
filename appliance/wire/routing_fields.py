"""Reads the fields `provider`, `retry` and `include_cost` of a request. The rule: what is not ours is left alone.

`provider` is ours when it is a list (OpenRouter's is an object), the others whenever they are set.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from appliance.domain.errors import CallerFault
from appliance.domain.routing import MOST_ROUTES, NO_OPTIONS, Options, Retry
from appliance.wire.body import RequestBody

FIELDS = frozenset({"provider", "retry", "include_cost"})

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
    ours += [name for name in ("retry", "include_cost") if name in body]
    return Options(chain, retry, cost), tuple(ours)


def _chain(raw: msgspec.Raw) -> tuple[str, ...]:
    try:
        names = _CHAIN.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CallerFault("invalid_provider_chain", param="provider") from None
    if len(names) > MOST_ROUTES or len(set(names)) != len(names):
        raise CallerFault("invalid_provider_chain", param="provider")
    return tuple(names)
