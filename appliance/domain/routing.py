"""What a request may say of its own routing, beside the tier: `provider`, `ladder`, `preset`, `retry` and others."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from appliance.domain.ladder import Step

MOST_ROUTES = 3


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the tier that the request settled on is asked again after a real 429 or 5xx, and at what pace."""

    count: Annotated[int, Meta(ge=1, le=5)]
    backoff: Literal["exponential", "linear"] = "exponential"
    jitter: bool = True


class Options(msgspec.Struct, frozen=True):
    """The fields, read. `chain`: names of providers, the first asked first; one alone is a pin.

    `target`: the probability with which the answer should start in time, `finish_s`: when it should have ended.
    """

    chain: tuple[str, ...] = ()
    retry: Retry | None = None
    include_cost: bool = False
    ladder: tuple[Step, ...] | None = None
    target: float | None = None
    finish_s: float | None = None
    preset: str | None = None

    @property
    def promises(self) -> bool:
        """Whether it says anything of whom to ask and how soon, beside `chain`."""
        return not (self.ladder is None and self.target is None and self.finish_s is None and self.preset is None)


NO_OPTIONS = Options()
"""Of a request that says nothing, as nearly all do."""
