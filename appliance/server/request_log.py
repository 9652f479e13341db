"""One log line for each request. The rule: what the usage row has, and nothing that it has not."""

import structlog

from appliance.domain.money import usd
from appliance.domain.record import Settled


class RequestLog:
    """Writes the canonical line of each request that ended."""

    def __init__(self) -> None:
        self._log = structlog.get_logger().bind()

    def settled(self, settled: Settled) -> None:
        """Write the line."""
        request = settled.request
        self._log.info(
            "request",
            id=request.request_id,
            key=request.key_id,
            endpoint=request.endpoint,
            model=request.model_dispatched,
            provider=request.provider,
            asked=request.tier_asked,
            served=request.tier_served,
            reason=request.reason,
            status=request.status,
            error=request.error_code,
            start_s=request.to_start_s and round(request.to_start_s, 4),
            total_s=round(request.total_s, 4),
            overhead_s=round(request.overhead_s, 6),
            attempts=len(settled.attempts),
            cost_usd=None if request.cost_nanos is None else usd(request.cost_nanos),
            client_gone=request.client_gone,
        )
