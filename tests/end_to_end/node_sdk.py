"""The official OpenAI SDK for Node: installed once, by its lock, into `.venv/node`; then no network is needed.

The rule: where neither Node nor npm can be had (no root, no apt) the tests say "not run"; elsewhere they must run.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from tests.end_to_end.processes import ROOT
from tests.end_to_end.stage import Stage

HERE = Path(__file__).parent / "node"
HOME = ROOT / ".venv" / "node"
SDK = 'export * from "openai";\nexport { default } from "openai";\n'
INSTALL_S = 100.0
"""Below pytest's limit for one test, so that what npm was doing is told."""
INSTALL = "npm ci --ignore-scripts --no-audit --no-fund --loglevel=error".split()


def _missing() -> str:
    return ", ".join(name for name in ("node", "npm") if shutil.which(name) is None)


def _must_run() -> bool:
    """Whether what is missing could have been installed here."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def installed() -> Path:
    """The folder with the SDK in it, installed if its lock is not the one that was. Skips where there is no Node."""
    if missing := _missing():
        if _must_run():
            pytest.fail(f"{missing} could be installed here and is not: apt-get install nodejs npm")
        pytest.skip(f"not run: {missing} is missing, and there is neither root nor apt to install it")
    HOME.mkdir(parents=True, exist_ok=True)
    locks = [HERE / "package.json", HERE / "package-lock.json"]
    stamp, wanted = HOME / "stamp", hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    with (HOME / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # test processes run side by side
        if stamp.exists() and stamp.read_text() == wanted:
            return HOME
        for lock in locks:
            shutil.copy(lock, HOME)
        done = subprocess.run(
            INSTALL, cwd=HOME, capture_output=True, text=True, timeout=INSTALL_S, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            pytest.fail(f"npm could not install the pinned SDK:\n{done.stderr[-2000:]}")
        (HOME / "sdk.mjs").write_text(SDK)
        stamp.write_text(wanted)
    return HOME


def run(topic: str, stage: Stage, marks: list[str], mount: str = "/v1") -> object:
    """Run one topic; what it printed."""
    kept = {name: value for name, value in stage.environ.items() if not name.startswith("STARTLINE_")}
    more = {"OPENAI_BASE_URL": stage.url + mount, "OPENAI_API_KEY": stage.key, "STARTLINE_TEST_NODE": str(installed())}
    done = subprocess.run(
        ["node", str(HERE / "topics.mjs"), topic, *marks],
        env=kept | more,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return msgspec.json.decode(done.stdout)
