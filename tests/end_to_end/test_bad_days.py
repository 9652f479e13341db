"""What the machine can do to a running server: no disk space, no descriptors. It says so, serves on, and gets over it.

The rule: the limits are the system's own, set on the real process from outside while it runs.
"""

import resource
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.asking import chat
from tests.end_to_end.processes import until
from tests.end_to_end.stage import Stage, staged

pytestmark = pytest.mark.sockets

TICKS_A_SECOND = 100


def limit(stage: Stage, what: int, soft: int) -> None:
    """Set a soft limit of the server."""
    _, hard = resource.prlimit(stage.server.popen.pid, what)
    resource.prlimit(stage.server.popen.pid, what, (soft, hard))


def unlimit(stage: Stage, what: int) -> None:
    _, hard = resource.prlimit(stage.server.popen.pid, what)
    resource.prlimit(stage.server.popen.pid, what, (hard, hard))


def client(stage: Stage) -> httpx.Client:
    headers = {"authorization": f"Bearer {stage.key}"}
    return httpx.Client(base_url=stage.url + "/v1", headers=headers, trust_env=False, timeout=20)


def ask(asking: httpx.Client, mark: str, sim: str = "", **more: Any) -> str:
    """Ask once: "" when it was answered, else status and code."""
    answer = asking.post("/chat/completions", json=chat("hello", mark, sim, **more))
    return "" if answer.status_code == 200 else f"{answer.status_code} {answer.json()['error']['code']}"


def test_a_full_disk(tmp_path: Path) -> None:
    with staged(tmp_path) as stage, client(stage) as asking:
        assert ask(asking, stage.mark()) == ""
        stage.take()
        limit(stage, resource.RLIMIT_FSIZE, 1)  # the log, too, goes to a file
        ask(asking, stage.mark())  # its record finds out
        until(lambda: stage.admin("health")["store"]["failing"] or None, "failing store")
        served = len(stage.journal()["entries"])
        for more in ({}, {"stream": True}, {"start_within": "30s"}):
            assert ask(asking, stage.mark(), **more) == "503 store_unavailable"
        assert len(stage.journal()["entries"]) == served, "a provider was asked"
        assert stage.admin("health")["reasons"] == ["store_unavailable"]
        unlimit(stage, resource.RLIMIT_FSIZE)
        until(lambda: stage.admin("health")["ready"] or None, "recovery", 15)
        assert ask(asking, stage.mark()) == ""
        rows = stage.take(5)
        assert [row.request["error_code"] for row in rows] == [None, *["store_unavailable"] * 3, None]


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def test_no_descriptors(tmp_path: Path) -> None:
    with staged(tmp_path) as stage, ExitStack() as stack:
        pid = stage.server.popen.pid
        open_before = [stack.enter_context(client(stage)) for _ in range(4)]
        for asking in open_before:
            assert ask(asking, stage.mark()) == ""  # one after another: the pool has one connection to the provider
        stage.take(4)
        limit(stage, resource.RLIMIT_NOFILE, len(list(Path(f"/proc/{pid}/fd").iterdir())))
        with ThreadPoolExecutor(4) as pool:
            told = list(pool.map(lambda asking: ask(asking, stage.mark(), "start=0.5"), open_before))
        assert sorted(told) == ["", *["503 out_of_descriptors"] * 3]
        rows = [told.request for told in stage.take(4)]  # over the operator's connection, open since before
        assert sorted((row["error_origin"] or "", row["status"]) for row in rows) == [
            ("", 200),
            *[("startline", 503)] * 3,
        ]

        late = stack.enter_context(client(stage))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(ask, late, stage.mark())
            spent_s = cpu_s(pid)
            time.sleep(1.5)
            assert cpu_s(pid) - spent_s < 0.5, "the accept loop is busy with what it cannot do"
            assert ask(open_before[0], stage.mark()) == "", "the connections that there are are served"
            assert not waiting.done()
            unlimit(stage, resource.RLIMIT_NOFILE)
            assert waiting.result(10) == ""
        for asking in (*open_before, late):
            assert ask(asking, stage.mark()) == ""
        assert stage.server.err.read_text().count("accept_paused") < 5
