"""Asks a provider which models it has, in its own dialect. The rule: off the hot path, bounded in time and size."""

from typing import Any

import msgspec
import trio

from appliance.domain.catalog import Provider
from appliance.domain.errors import UpstreamFault
from appliance.upstream.headers import to_provider
from appliance.upstream.target import request_head, target
from appliance.upstream.transport import Exchange, Pool

LIST_BYTES = 8 * 1024 * 1024
LIST_S = 20.0
MOST_MODELS = 10_000
LONGEST_ID = 200
MODELS_PATH = {"openai": b"/models", "anthropic": b"/models?limit=1000", "gemini": b"/models?pageSize=1000"}
"""By the family of the provider's own dialect; pages are asked for as large as they come."""

_DECODER = msgspec.json.Decoder(dict[str, Any])


async def fetch_models(pool: Pool, provider: Provider, secret: str) -> tuple[str, ...]:
    """The ids that the provider lists, in its order. Raises UpstreamFault, ValueError for a bad base URL."""
    exchange = Exchange(pool)
    to = target(provider, MODELS_PATH[provider.family], method=b"GET")
    headers = to_provider([(b"user-agent", b"startline")], provider.family)

    def head() -> bytes:
        return request_head(to, secret, headers, stream=False, length=None)

    try:
        with trio.fail_after(LIST_S):
            answer = await exchange.request(to.origin, head, bytes, lambda: None)
            parts: list[bytes] = []
            size_bytes = 0
            while piece := await exchange.body():
                size_bytes += len(piece)
                if size_bytes > LIST_BYTES:
                    raise UpstreamFault("provider_garbled", "The list of models is too long.", provider=provider.name)
                parts.append(piece)
        exchange.finish()
    except trio.TooSlowError:
        raise UpstreamFault("provider_too_slow", provider=provider.name) from None
    finally:
        exchange.close()
    if answer.status in (401, 403):
        raise UpstreamFault("provider_key_rejected", "The provider does not accept the key.", provider=provider.name)
    if answer.status != 200:
        raise UpstreamFault(
            "provider_rejected", f"The provider answered {answer.status} to GET /models.", provider=provider.name
        )
    return read_ids(b"".join(parts))


def read_ids(body: bytes) -> tuple[str, ...]:
    """The ids in a list of models of any dialect. Raises UpstreamFault("provider_garbled")."""
    try:
        told = _DECODER.decode(body)
        if "models" in told:  # Google's: every id under `models/`
            found = dict.fromkeys(row["name"].removeprefix("models/") for row in told["models"])
        else:
            found = dict.fromkeys(row["id"] for row in told["data"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError, AttributeError):
        raise UpstreamFault("provider_garbled", "The list of models was not understood.") from None
    ids = [name for name in found if isinstance(name, str) and 0 < len(name) <= LONGEST_ID and name.isprintable()]
    return tuple(ids[:MOST_MODELS])
