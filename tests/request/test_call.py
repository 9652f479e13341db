"""A call and how it is ended from outside."""

import trio

from appliance.request.call import Call
from appliance.request.endpoint import CHAT
from appliance.store.memory import MemoryDirectory


async def test_the_first_cause_counts_and_ends_the_scope() -> None:
    call = Call(
        endpoint=CHAT,
        argument="",
        method=b"POST",
        path=b"/v1/chat/completions",
        query=b"",
        headers=[],
        get=lambda _: None,
        body=b"",
        key=MemoryDirectory().with_key().keys()[0],
        peer=None,
        reply=None,  # type: ignore[arg-type]
        scope=trio.CancelScope(),
        request_id="req",
        arrived_s=0.0,
        at_unix_us=0,
    )
    with call.scope:
        call.leave("revoked")
        call.leave("client_gone")
        await trio.sleep_forever()
    assert call.cause == "revoked"
    assert call.scope.cancelled_caught
