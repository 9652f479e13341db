"""One client that asks as planned and leaves as planned. The rule: the moment of leaving is noted before the socket.

Nothing here trusts the server: a wait has a limit, and what the limit ends is told as a fault.
"""

import os
import socket
import struct
from contextlib import suppress

import msgspec
import trio

from tests.rig import Answer, Client, request
from tests.soak.plans import How, Moment, Plan

PATIENCE_S = 20.0
MIDDLE_S = 0.06
"""Longer than most streams here last."""

_ENDS = {"chat": b"data: [DONE]\n\n", "responses": b"event: response.completed"}


class Left(msgspec.Struct):
    """What a client did. Times are trio's; `sent_s`: the last byte was given to the kernel."""

    plan: Plan
    key_id: str
    sent_s: float | None = None
    left_s: float | None = None
    saw_bytes: bool = False
    status: int | None = None
    complete: bool = False
    fault: str = ""


class Visitor:
    """A client with a key of its own, on one connection as long as that can be used."""

    def __init__(self, port: int, key_id: str, key: str) -> None:
        self._port = port
        self._key_id = key_id
        self._key = key
        self._client: Client | None = None
        self._lane = ""

    async def visit(self, plan: Plan) -> Left:
        """Do as planned."""
        left = Left(plan, self._key_id)
        try:
            with trio.fail_after(PATIENCE_S):
                await self._visit(plan, left)
        except trio.TooSlowError:
            left.fault = f"nothing happened for {PATIENCE_S:g} s"
        except (EOFError, trio.BrokenResourceError, OSError) as failure:
            left.fault = f"the server ended the connection: {type(failure).__name__}"
        if left.fault or plan.moment is not Moment.STAYS:
            self.close()
        return left

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._client is not None:
            self._client.stream.socket.close()
            self._client = None

    async def _visit(self, plan: Plan, left: Left) -> None:
        client = await self._joined(plan.lane)
        data = plan.bytes(self._key)
        head_bytes = data.index(b"\r\n\r\n") + 4
        if plan.moment is Moment.HEAD:
            await client.send(data[: int(plan.share * (head_bytes - 1))])
        elif plan.moment is Moment.BODY:
            await client.send(data[: head_bytes + int(plan.share * (len(data) - head_bytes))])
        else:
            await client.send(data)
            left.sent_s = trio.current_time()
            await self._until(plan, client, left)
        if plan.moment is Moment.STAYS:
            left.complete = True
            return
        if plan.silent and plan.share < 0.5:
            await trio.sleep(plan.wait_s)
        await self._leave(plan, client, left, data)

    async def _joined(self, lane: str) -> Client:
        client = self._client
        if client is not None and self._lane == "fast" == lane:
            return client
        self.close()
        client = self._client = Client(await trio.open_tcp_stream("127.0.0.1", self._port))
        self._lane = lane
        if lane == "asgi":
            await client.send(request("GET", "/healthz"))
            assert (await client.answer("GET")).status == 200
        return client

    async def _until(self, plan: Plan, client: Client, left: Left) -> None:
        """Wait for the moment."""
        match plan.moment:
            case Moment.SENT:
                return
            case Moment.WAITING | Moment.LAUNCH:
                with trio.move_on_after(plan.wait_s):
                    left.saw_bytes = await client._more()
                    await trio.sleep_forever()
            case Moment.FIRST:
                left.saw_bytes = await client._more()
            case Moment.MIDDLE:
                with trio.move_on_after(MIDDLE_S * plan.share):  # what was answered sooner is left at its end
                    while await client._more():
                        left.saw_bytes = True
            case _:
                answer = await self._answered(plan, client)
                left.saw_bytes, left.status = True, answer.status
                if answer.header("connection") == "close":
                    self._lane = ""

    async def _answered(self, plan: Plan, client: Client) -> Answer:
        if plan.moment is Moment.END and plan.stream:
            head = await client.until(b"\r\n\r\n")
            status = int(head.split(b" ")[1])
            if status == 200:  # a stream that failed ends with its last chunk alone
                while _ENDS[plan.dialect] not in client._buffer and not client._buffer.endswith(b"0\r\n\r\n"):
                    if not await client._more():
                        raise EOFError("the stream was cut")
            return Answer(status, [], b"", [], False)
        answer = await client.answer()
        if not answer.complete:
            raise EOFError("the answer was cut")
        return answer

    async def _leave(self, plan: Plan, client: Client, left: Left, data: bytes) -> None:
        sock = client.stream.socket
        if plan.how is How.PIPELINED and not plan.silent:
            with suppress(OSError):  # the server was quicker
                os.write(sock.fileno(), data[:-1][:4000])  # never whole: it must not be answered
        elif plan.how is How.RESET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        left.left_s = trio.current_time()
        if plan.how is How.HALF:
            try:
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                return  # the server was quicker
            await client.ended()  # the server's end must come too
        else:
            self.close()
