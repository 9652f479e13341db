"""What a request may say of its own routing, beside the tier: the fields `provider`, `retry` and `include_cost`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MOST_ROUTES = 3


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the tier that the request settled on is asked again after a real 429 or 5xx, and at what pace."""

    count: Annotated[int, Meta(ge=1, le=5)]
    backoff: Literal["exponential", "linear"] = "exponential"
    jitter: bool = True


class Options(msgspec.Struct, frozen=True):
    """The fields, read. `chain`: names of providers, the first asked first; one alone is a pin."""

    chain: tuple[str, ...] = ()
    retry: Retry | None = None
    include_cost: bool = False


NO_OPTIONS = Options()
"""Of a request that says nothing, as nearly all do."""
