"""When a request that failed is sent again. The rule: only what the provider itself refused, and only after a pause.

A real 429 or 5xx of the settled tier is worth another try; a timeout, a broken connection, a caller's fault and a
started stream are not. The provider's own retry-after goes before the schedule; jitter only shortens, so that no caller
waits longer than it was told. Source: FlexInference's published semantics of `retry`.
"""

from appliance.domain.errors import Fault
from appliance.domain.routing import Retry

MOST_TOLD_S = 60.0
FIRST_S = 0.5
MOST_S = 8.0
MOST_SHORTENED = 0.25

_WORTH = frozenset({"provider_rate_limited", "provider_refused", "provider_error"})


def worth_another_try(fault: Fault, status: int | None) -> bool:
    """Whether the same tier may be asked again; `status`: of the provider's answer, None if there was none."""
    return fault.kind.code in _WORTH and status is not None and (status == 429 or status >= 500)


def wait_s(retry: Retry, number: int, told_s: float | None, luck: float) -> float:
    """Seconds before the try after `number` (from 1) failures; `luck` from 0 to 1 says how much jitter takes away."""
    if told_s is not None:
        return min(told_s, MOST_TOLD_S)
    scheduled_s = FIRST_S * (number if retry.backoff == "linear" else 2 ** (number - 1))
    shortened = MOST_SHORTENED * luck if retry.jitter else 0.0
    return min(scheduled_s, MOST_S) * (1 - shortened)
