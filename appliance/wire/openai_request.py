"""What the OpenAI dialects' requests share. The rule: read what routing needs, leave the rest to the provider."""

import msgspec

from appliance.domain.errors import CallerFault
from appliance.domain.routing import NO_OPTIONS
from appliance.domain.tier import StartWithin, parse_start_within
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Asked, WhyNotRaced
from appliance.wire.routing_fields import FIELDS, read_options

OURS = ("start_within",)
"""Fields of Startline: no provider sees them."""

MOST_MODEL_CHARACTERS = 512
MOST_OUTPUT_TOKENS = 10**8
"""A limit of the output above this, or below none, is none: costs are estimated from it, and records hold 64 bits."""

_ENCODER = msgspec.json.Encoder()
_TRUE = b"true"


class ToolKind(msgspec.Struct, gc=False):
    """A tool of a request, as far as racing cares."""

    type: str = ""


_TOOLS = msgspec.json.Decoder(list[ToolKind])
_OPTIONS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_asked(
    body: RequestBody, header_start_within: bytes | None, limits: tuple[str, ...], not_raced: WhyNotRaced
) -> Asked:
    """What was asked; `limits` names the fields that bound the output. Raises CallerFault.

    A body's `start_within` beats the header's: the header is often an SDK's default for all of its requests.
    """
    names = body.names
    model = body.get_str("model")
    if not model:
        raise CallerFault("missing_model", param="model")
    if len(model) > MOST_MODEL_CHARACTERS:
        raise CallerFault("bad_request", "model is too long.", param="model")
    stream = ("stream" in names and body.get_bool("stream")) or False
    tier = body.get_str("service_tier") if "service_tier" in names else None
    within = None
    if header_start_within is not None or "start_within" in names:
        within = start_within_of(body, header_start_within)
    if tier is not None and within is not None:
        raise CallerFault("service_tier_not_allowed", param="service_tier")
    options, ours = (NO_OPTIONS, ()) if FIELDS.isdisjoint(names) else read_options(body)
    most: int | None = None
    for name in limits:
        if name in names:
            try:
                most = body.get_int(name)
            except CallerFault:
                most = None  # the provider says what is wrong with it
            if most is not None:
                break
    return Asked(
        model=model,
        stream=stream,
        service_tier=tier,
        start_within=within,
        include_usage=stream and _includes_usage(body),
        max_output_tokens=sound_limit(most),
        estimated_input_tokens=body.size_bytes // 4,
        body=body,
        not_raced=not_raced,
        options=options,
        ours=ours,
    )


def sound_limit(most: int | None) -> int | None:
    """A limit of the output as the caller named it; None if there is none, or it is no sound one."""
    return most if most is not None and 0 <= most <= MOST_OUTPUT_TOKENS else None


LONGEST_S = 1e9
"""A bound of any number at all: how long a window may be is a setting, which admission looks at."""


def start_within_of(body: RequestBody, header: bytes | None) -> StartWithin | None:
    """The wish in the body, else in the header; None: there is none. Raises CallerFault("invalid_start_within")."""
    value: object
    if "start_within" in body and body.is_set("start_within"):
        value = body.value("start_within")
    elif header is not None:
        value = header.decode("latin-1").strip()
    else:
        return None
    try:
        return parse_start_within(value, 0.0, LONGEST_S)
    except ValueError as error:
        raise CallerFault("invalid_start_within", f"{error}.", param="start_within") from None


def _options(body: RequestBody) -> dict[str, msgspec.Raw]:
    raw = body.raw("stream_options")
    if raw is None or not body.is_set("stream_options"):
        return {}
    try:
        return _OPTIONS.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CallerFault("bad_request", "stream_options must be an object.", param="stream_options") from None


def _includes_usage(body: RequestBody) -> bool:
    return "stream_options" in body and _options(body).get("include_usage") == _RAW_TRUE


_RAW_TRUE = msgspec.Raw(_TRUE)


def write_body(asked: Asked, *, model: str, tier: str | None, stream: bool, include_usage: bool) -> bytes:
    """The upstream body: exactly `tier` as service tier (None: the field is removed), streamed if `stream`."""
    body = asked.body
    replaced: dict[str, bytes | None] = {}
    names = body.names
    for name in OURS:
        if name in names:
            replaced[name] = None
    for name in asked.ours:
        replaced[name] = None
    if model != asked.model:
        replaced["model"] = _ENCODER.encode(model)
    if tier is None:
        if "service_tier" in names:
            replaced["service_tier"] = None
    elif tier != asked.service_tier:
        replaced["service_tier"] = _ENCODER.encode(tier)
    if stream and not asked.stream:
        replaced["stream"] = _TRUE
    if stream and include_usage and not asked.include_usage:
        options = _options(body)
        options["include_usage"] = _RAW_TRUE
        replaced["stream_options"] = _ENCODER.encode(options)
    return body.encode(replaced)


def tool_of(body: RequestBody, kinds: frozenset[str]) -> str | None:
    """The first of these kinds of tool that the request offers, or None. About a microsecond per kilobyte of tools."""
    raw = body.raw("tools")
    if raw is None or not body.is_set("tools"):
        return None
    try:
        tools = _TOOLS.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # the provider says what is wrong with it
    return next((tool.type for tool in tools if tool.type in kinds), None)
