"""`kill -9` in the middle of load, a hundred times on four folders: nothing that a client has is lost, or there twice.

The rule: `durability = "strict"`, real processes, and the rows are read from the database file by SQLite alone.
"""

import signal
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

import apsw
import msgspec
import pytest
import trio

from appliance.archive.reader import ArchiveReader
from appliance.domain.record import Settled
from tests.end_to_end.asking import chat
from tests.end_to_end.processes import Program, command
from tests.end_to_end.stage import staged
from tests.rig import Client, request

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

ROUNDS = 25
KILLED_AT_START = 5
"""Each so-manieth round is killed while it starts, within START_S of it."""
START_S = 0.6
LOAD_S = (0.1, 0.3)
SLOW = "tokens=5000,tokens_per_s=100"
WISHES: tuple[dict[str, Any], ...] = (
    {},
    {"stream": True, "stream_options": {"include_usage": True}},
    {"start_within": "30s"},
    {"start_within": "30s", "stream": True, "stream_options": {"include_usage": True}},
)


class Load:
    """What clients sent to one server until it was killed, and what they had got of it by then."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.sent = 0
        self.whole: dict[str, dict[str, Any]] = {}
        """Usage by request id, of the answers that came whole."""
        self.begun: set[str] = set()
        """Ids of streams that were seen to start and did not end."""

    async def run(self, port: int, kill: Any, after_s: float) -> None:
        """Load the server, kill it, and wait until every client has noticed."""
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for number in range(6):
                    nursery.start_soon(self._client, port, WISHES[number % len(WISHES)])
                for _ in range(2):
                    await nursery.start(self._slow, port)
                await trio.sleep(after_s)
                kill()

    async def _client(self, port: int, wish: dict[str, Any]) -> None:
        """One request after another on one connection, to its end."""
        with suppress(OSError, trio.BrokenResourceError, EOFError):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                client = Client(stream)
                while True:
                    await client.send(request(key=self._key, body=chat("hello", "load", **wish)))
                    self.sent += 1
                    answer = await client.answer()
                    if answer.complete and (b"[DONE]" in answer.body or not wish.get("stream")):
                        assert answer.status == 200, answer.body
                        self.whole[answer.header("x-startline-request-id") or ""] = usage_in(answer.body)

    async def _slow(self, port: int, task_status: trio.TaskStatus[None]) -> None:
        """A stream that does not end by itself."""
        with suppress(OSError, trio.BrokenResourceError, EOFError):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                client = Client(stream)
                await client.send(request(key=self._key, body=chat("go on", "load", SLOW, stream=True)))
                self.sent += 1
                head = await client.until(b"\r\n\r\n")
                self.begun.add(head.lower().split(b"x-startline-request-id: ")[1].split(b"\r\n")[0].decode())
                task_status.started()
                await client.ended()


def usage_in(body: bytes) -> dict[str, Any]:
    """The usage of an answer, whole or streamed."""
    lines = [line[6:] for line in body.splitlines() if line.startswith(b"data: {")] or [body]
    found: dict[str, Any] = next(usage for line in reversed(lines) if (usage := msgspec.json.decode(line).get("usage")))
    return found


class Rows:
    """The database file, read as SQLite reads it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: set[str] = set()

    def check(self, load: Load) -> Counter[str]:
        """Hold the rows that are new against what clients have; how many there are of each kind."""
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            one = connection.execute
            attempts: dict[str, list[tuple[Any, ...]]] = {}
            for request_id, *values in one("SELECT request_id, outcome, cost_nanos FROM attempts"):
                attempts.setdefault(request_id, []).append(tuple(values))
            rows = {
                row[0]: row[1:]
                for row in one(
                    "SELECT request_id, status, error_code, cost_nanos, cost_state, tokens_input, tokens_output"
                    " FROM requests"
                )
            }
            assert not one("SELECT count(*) FROM open_requests").get, "something is still open after the start"
        finally:
            connection.close()
        assert rows.keys() == attempts.keys(), "rows without attempts, or attempts without a row"
        assert self.known <= rows.keys(), "rows of an earlier round are gone"
        new = {request_id: rows[request_id] for request_id in rows.keys() - self.known}
        self.known |= rows.keys()
        kinds: Counter[str] = Counter()
        assert len(new) <= load.sent, "more rows than requests"
        for request_id, (status, code, cost, state, *tokens) in new.items():
            costs = [value for _, value in attempts[request_id] if value is not None]
            assert cost == (sum(costs) if costs else None), request_id
            if code == "interrupted":
                assert (status, [outcome for outcome, _ in attempts[request_id]]) == (0, ["interrupted"])
                assert cost > 0 and state == "estimated"
            else:
                assert status == 200, (request_id, status, code)
            if request_id in load.whole:
                usage = load.whole[request_id]
                assert (code, state) == (None, "known"), request_id
                assert tokens == [usage["prompt_tokens"], usage["completion_tokens"]]
                assert [outcome for outcome, _ in attempts[request_id]].count("won") == 1
                kinds["whole"] += 1
            else:
                kinds[code or "settled"] += 1
        assert load.whole.keys() <= new.keys(), "an answer that a client has whole is not recorded"
        assert load.begun <= new.keys(), "a stream that had begun is not recorded"
        return kinds


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_or_doubled_by_kills_under_load(tmp_path: Path, seed: int) -> None:
    chance, kinds = Random(seed), Counter[str]()
    with staged(tmp_path, STARTLINE_DURABILITY="strict") as stage, ExitStack() as stack:
        rows = Rows(stage.data_folder / "startline.db")
        stage.server.stop()
        zero_s, load = time.monotonic(), Load(stage.key)
        for number in range(ROUNDS):
            server = Program(["serve"], tmp_path, stage.environ)
            stack.callback(server.popen.kill)
            if number % KILLED_AT_START == 1:
                time.sleep(chance.uniform(0, START_S))
            else:
                port = int(server.says(r'"event":"serving","addresses":\["[^"]+:(\d+)"'))
                kinds += rows.check(load)
                load = Load(stage.key)
                trio.run(load.run, port, server.popen.kill, chance.uniform(*LOAD_S))
            server.popen.kill()
            assert server.popen.wait(10) == -signal.SIGKILL
        spent_s = time.monotonic() - zero_s
        with ExitStack() as last:
            server = Program(["serve"], tmp_path, stage.environ)
            last.callback(server.stop)
            server.says(r'"event":"(serving)"')
            kinds += rows.check(load)
        print(f"{ROUNDS} kills in {spent_s:.0f} s: {dict(kinds)}")
        verified = msgspec.json.decode(command("archive", "verify", "--json", environ=stage.environ))
        assert verified["ok"] is True
        ends = Counter(
            entry.record.request.request_id
            for entry in ArchiveReader(stage.data_folder / "archive").records()
            if isinstance(entry.record, Settled)
        )
        assert set(ends.values()) == {1}
        assert ends.keys() == rows.known
    assert kinds["whole"] > ROUNDS
    assert kinds["interrupted"] > ROUNDS
