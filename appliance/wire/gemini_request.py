"""What Google's dialects' requests share. The rule: the path names the model and what to do, the body the rest.

`serviceTier` may be written in snake case and in any case of letters, with or without the enum's prefix (the proto's
JSON takes all of it; source: the official SDK, which writes `serviceTier`, and the documentation's curl).
"""

from urllib.parse import quote

import msgspec

from appliance.domain.errors import CallerFault
from appliance.domain.tier import canonical_tier
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Asked, Framing, WhyNotRaced
from appliance.wire.openai_request import MOST_MODEL_CHARACTERS, OURS, sound_limit, start_within_of
from appliance.wire.routing_fields import read_options

_ENCODER = msgspec.json.Encoder()
_TIERS = ("serviceTier", "service_tier")


class GenerationConfig(msgspec.Struct, rename="camel", gc=False):
    """What of `generationConfig` routing needs."""

    max_output_tokens: int | None = None
    response_modalities: list[str] | None = None


_CONFIG = msgspec.json.Decoder(GenerationConfig)


def model_and_action(argument: str) -> tuple[str, str]:
    """`gemini-3-flash:generateContent` taken apart."""
    model, _, action = argument.rpartition(":")
    return model.removeprefix("models/"), action


def config_of(body: RequestBody) -> GenerationConfig:
    """The request's generation config, empty where there is none or it cannot be read: the provider says so."""
    raw = body.raw("generationConfig") or body.raw("generation_config")
    if raw is None:
        return GenerationConfig()
    try:
        return _CONFIG.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return GenerationConfig()


def tier_of(body: RequestBody) -> str | None:
    """The service tier asked for, in our word where it is one; None: none, or `unspecified`. Raises CallerFault."""
    told = next((value for name in _TIERS if name in body and (value := body.get_str(name))), None)
    if told is None:
        return None
    word = told.lower().removeprefix("service_tier_")
    return None if word == "unspecified" else canonical_tier(word)


def read_asked(
    body: RequestBody,
    header_start_within: bytes | None,
    model: str,
    *,
    stream: bool,
    most: int | None,
    not_raced: WhyNotRaced,
    framing: Framing = "sse",
) -> Asked:
    """What was asked. Raises CallerFault with the parameter named."""
    if not model:
        raise CallerFault("missing_model", param="model")
    if len(model) > MOST_MODEL_CHARACTERS:
        raise CallerFault("bad_request", "model is too long.", param="model")
    tier = tier_of(body)
    options, ours = read_options(body)
    within = None
    if header_start_within is not None or "start_within" in body:
        within = start_within_of(body, header_start_within)
    if tier is not None and within is not None:
        raise CallerFault("service_tier_not_allowed", param="serviceTier")
    return Asked(
        model=model,
        stream=stream,
        service_tier=tier,
        start_within=within,
        include_usage=True,
        max_output_tokens=sound_limit(most),
        estimated_input_tokens=body.size_bytes // 4,
        body=body,
        not_raced=not_raced,
        framing=framing,
        options=options,
        ours=ours,
    )


def write_body(asked: Asked, tier: str | None, more: dict[str, bytes | None], tier_name: str) -> bytes:
    """The upstream body: exactly `tier` as service tier (None: none), our own fields removed, `more` set."""
    body = asked.body
    replaced: dict[str, bytes | None] = {name: None for name in (*OURS, *_TIERS, *asked.ours) if name in body}
    if tier is not None:
        replaced[tier_name] = _ENCODER.encode(tier)
    return body.encode(replaced | more)


def model_path(model: str, action: str) -> bytes:
    """The path of an action of a model; the name is encoded, so that it cannot leave its place."""
    return f"/models/{quote(model, safe='-._~@')}:{action}".encode()
