"""Once a second: what only time can tell of the requests in work. The rule: no request pays for its own patience.

A time limit per request and read would cost a cancel scope each; one task that looks at all of them costs a
microsecond per live request and second. Limits are thereby kept to the second, which is what they are for.
"""

from collections.abc import Callable

import trio

from appliance.request.answer import Gateway

PULSE_S = 1.0


async def run(gateway: Gateway, flush_log: Callable[[], None]) -> None:
    """Send keep-alive comments to silent streams, end silent providers, write waiting log lines, until cancelled."""
    comment_s = gateway.settings.keep_alive_comment_s or float("inf")
    while True:
        await trio.sleep(PULSE_S)
        gateway.pulse(trio.current_time(), comment_s)
        flush_log()
