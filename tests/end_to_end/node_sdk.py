"""Official SDKs for Node: installed once, by their lock, into `.venv/node`; then no network is needed.

The rule: where Node, npm or its registry cannot be had the tests say "not run", and why; elsewhere they must run.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

import msgspec
import pytest

from tests.end_to_end.processes import ROOT
from tests.end_to_end.stage import Json, Stage

HERE = Path(__file__).parent / "node"
HOME = ROOT / ".venv" / "node"
INSTALL_S = 100.0
"""Below pytest's limit for one test, so that what npm was doing is told."""
INSTALL = "npm ci --ignore-scripts --no-audit --no-fund --loglevel=error".split()
OLDEST = 22
"""What the SDKs ask for; where the machine's Node is older, one from the lock is used."""
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH")
_PROCESSORS = {"x86_64": "x64", "aarch64": "arm64"}


def _missing() -> str:
    return ", ".join(name for name in ("node", "npm") if shutil.which(name) is None)


def _must_run() -> bool:
    """Whether what is missing could have been installed here."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


@cache
def _is_old() -> bool:
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.removeprefix("v").partition(".")[0]) < OLDEST


def installed() -> Path:
    """The folder with the SDKs in it, installed if its lock is not the one that was. Skips where that cannot be."""
    if missing := _missing():
        if _must_run():
            pytest.fail(f"{missing} could be installed here and is not: apt-get install nodejs npm")
        pytest.skip(f"not run: {missing} is missing, and there is neither root nor apt to install it")
    HOME.mkdir(parents=True, exist_ok=True)
    locks = [HERE / "package.json", HERE / "package-lock.json"]
    more = [] if _is_old() else ["--omit=optional"]  # the optional packages are Node itself
    wanted = hashlib.sha256(b"".join([*[lock.read_bytes() for lock in locks], *map(str.encode, more)])).hexdigest()
    stamp = HOME / "stamp"
    with (HOME / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # test processes run side by side
        if not stamp.exists() or stamp.read_text() != wanted:
            for lock in locks:
                shutil.copy(lock, HOME)
            _install(more)
            stamp.write_text(wanted)
        if not (HOME / "drivers").is_symlink():
            (HOME / "drivers").symlink_to(HERE)
    return HOME


def _install(more: list[str]) -> None:
    done = subprocess.run(
        [*INSTALL, *more], cwd=HOME, capture_output=True, text=True, timeout=INSTALL_S, stdin=subprocess.DEVNULL
    )
    if done.returncode == 0:
        return
    if any(code in done.stderr for code in UNREACHABLE):
        pytest.skip(f"not run: npm cannot reach its registry: {done.stderr.strip()[:200]}")
    pytest.fail(f"npm could not install the pinned SDKs:\n{done.stderr[-2000:]}")


def _drive(driver: str, arguments: list[str], stage: Stage, limit_s: float, **more: str) -> str:
    """What a driver of ours printed. Its imports are found from `.venv/node`, where it is linked to."""
    home = installed()
    node = "node"
    if _is_old():
        processor = _PROCESSORS.get(platform.machine())
        if processor is None:
            pytest.skip(f"not run: node is older than {OLDEST}, and there is none for {platform.machine()} in the lock")
        node = str(home / "node_modules" / f"node-linux-{processor}" / "bin" / "node")
    kept = {name: value for name, value in stage.environ.items() if not name.startswith("STARTLINE_")}
    preserve = ["--preserve-symlinks", "--preserve-symlinks-main"]
    done = subprocess.run(
        [node, *preserve, str(home / "drivers" / driver), *arguments],
        env=kept | more,
        capture_output=True,
        text=True,
        timeout=limit_s,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def run(topic: str, stage: Stage, marks: list[str], mount: str = "/v1") -> object:
    """Run one topic of the OpenAI SDK; what it printed."""
    environ = {"OPENAI_BASE_URL": stage.url + mount, "OPENAI_API_KEY": stage.key}
    return msgspec.json.decode(_drive("topics.mjs", [topic, *marks], stage, 60, **environ))


def matrix(sdk: str, stage: Stage, rows: Json) -> list[Json]:
    """Run all cells of one SDK before the providers of `rows`; a dict for each, as node/matrix.mjs tells them."""
    environ = {
        "STARTLINE_TEST_URL": stage.url,
        "STARTLINE_TEST_KEY": stage.key,
        "STARTLINE_TEST_ROWS": msgspec.json.encode(rows).decode(),
    }
    return [msgspec.json.decode(line) for line in _drive("matrix.mjs", [sdk], stage, 90, **environ).splitlines()]
