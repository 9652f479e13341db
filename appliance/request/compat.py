"""The names of another product, for clients that were written for it (setting `compat`). The rule: beside our own.

FlexInference's headers: the cost in whole micro-dollars, who served and why. Source: its published API reference.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from appliance.domain.errors import Fault
from appliance.request.call import Header
from appliance.settings import Settings

MICROS_PER_USD = 1_000_000
NAMES = {
    b"x-startline-provider": b"x-flexinference-served-provider",
    b"x-startline-reason": b"x-flexinference-routing-reason",
    b"x-startline-retries": b"x-flexinference-retries",
    b"x-startline-mode": b"x-flexinference-pricing",
    b"x-startline-cost-usd": b"x-flexinference-cost",
}


def compat_headers(settings: Settings, headers: Iterable[Header]) -> list[Header]:
    """The same facts under the other product's names; none where that is not set."""
    if settings.compat == "none":
        return []
    return [(NAMES[name], _written(name, value)) for name, value in headers if name in NAMES]


def name_block(settings: Settings, fault: Fault) -> None:
    """Have the fault's block written under the other product's name too."""
    if settings.compat != "none":
        fault.block_names = ("startline", settings.compat)


def _written(name: bytes, value: bytes) -> bytes:
    if name != b"x-startline-cost-usd":
        return value
    return b"%d" % (Decimal(value.decode()) * MICROS_PER_USD).to_integral_value(ROUND_HALF_UP)
