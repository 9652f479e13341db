"""A start that cannot be: said in a sentence, status 1, nothing changed; and when its cause is gone, it starts.

The rule: real processes, without the powers of a superuser, for whom no folder is read-only.
"""

import ctypes
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import apsw
import pytest

from tests.end_to_end.processes import ROOT, command, environment, program

pytestmark = pytest.mark.sockets

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which something is."""
    folder = tmp_path_factory.mktemp("made") / "data"
    command("key", "create", "--name", "x", environ=environment(folder))
    return folder


def _as_anyone(limit_bytes: int | None = None) -> None:
    """In the new process: no power to write what its modes forbid, and files of at most so many bytes."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if limit_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))


def refused(folder: Path, *words: str, limit_bytes: int | None = None, **settings: str) -> str:
    """Run a command that must fail with status 1 and one sentence; the sentence."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance", *words],
        cwd=ROOT,
        env=environment(folder, STARTLINE_LISTEN="127.0.0.1:0", **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: _as_anyone(limit_bytes),
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    return line


def contents(folder: Path) -> dict[str, bytes]:
    """The files that matter."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".db", ".key", ".segment")}


@contextmanager
def without_master_key(folder: Path) -> Iterator[None]:
    (folder / "master.key").rename(folder.parent / "kept")
    yield
    (folder.parent / "kept").rename(folder / "master.key")


@contextmanager
def with_another_master_key(folder: Path) -> Iterator[None]:
    with without_master_key(folder):
        (folder / "master.key").write_bytes(bytes(32))
        yield


@contextmanager
def with_half_a_master_key(folder: Path) -> Iterator[None]:
    with without_master_key(folder):
        (folder / "master.key").write_bytes(b"c2hvcnQ=")
        yield


@contextmanager
def newer(folder: Path) -> Iterator[None]:
    connection = apsw.Connection(str(folder / "startline.db"))
    connection.execute("INSERT INTO migrations VALUES(99, 'of tomorrow', 1)")
    yield
    connection.execute("DELETE FROM migrations WHERE number = 99")
    connection.close()


LOCKER = """
import apsw, sys
connection = apsw.Connection(sys.argv[1])
connection.pragma("locking_mode", "exclusive")
connection.execute("BEGIN EXCLUSIVE")
connection.execute("DELETE FROM open_requests")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    words = [sys.executable, "-c", LOCKER, str(folder / "startline.db")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as locker:
        assert locker.stdout is not None and locker.stdin is not None
        assert locker.stdout.readline() == b"locked\n"
        yield
        locker.stdin.close()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    for path in (folder / "startline.db", folder / "archive", folder):
        path.chmod(0o500 if path.is_dir() else 0o400)
    yield
    for path in (folder, folder / "archive", folder / "startline.db"):
        path.chmod(0o700 if path.is_dir() else 0o600)


@contextmanager
def damaged(folder: Path) -> Iterator[None]:
    whole = (folder / "startline.db").read_bytes()
    (folder / "startline.db").write_bytes(b"no database" + whole[11:])
    yield
    (folder / "startline.db").write_bytes(whole)


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (without_master_key, "master.key is missing"),
        (with_another_master_key, "the master key is not the one that this database was made with"),
        (with_half_a_master_key, "a master key is 32 bytes"),
        (newer, "the database has schema 99"),
        (locked, "another process has locked it"),
        (read_only, "cannot be written"),
        (damaged, "restore a copy"),
    ],
)
def test_a_start_that_cannot_be(
    made: Path, tmp_path: Path, trouble: Callable[[Path], AbstractContextManager[None]], told: str
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(made, folder)
    with trouble(folder):
        before = contents(folder)
        assert told in refused(folder, "serve")
        if trouble is not locked:  # it takes five seconds of patience each
            assert told in refused(folder, "key", "list")
        assert contents(folder) == before, "it changed something"
    with program(["serve"], tmp_path, environment(folder, STARTLINE_LISTEN="127.0.0.1:0")) as server:
        server.says(r'"event":"(serving)"')


def test_a_wrong_supplied_master_key_is_refused(made: Path) -> None:
    told = refused(made, "serve", STARTLINE_MASTER_KEY="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    assert "the master key is not the one" in told


def test_a_folder_that_cannot_be_made_or_that_is_full(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "Permission denied" in refused(tmp_path / "closed" / "data", "serve")
    told = refused(tmp_path / "full", "serve", limit_bytes=10_000)
    assert "full" in told or "File too large" in told or "the disk fails" in told
    with program(["serve"], tmp_path, environment(tmp_path / "full", STARTLINE_LISTEN="127.0.0.1:0")) as server:
        server.says(r'"event":"(serving)"')


def test_two_servers_on_one_folder(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(made, folder)
    environ = environment(folder, STARTLINE_LISTEN="127.0.0.1:0")
    with program(["serve"], tmp_path, environ) as server:
        server.says(r'"event":"(serving)"')
        assert f"{folder}: another process has this data folder" in refused(folder, "serve")
        assert "x" in command("key", "list", environ=environ), "the first one still answers on its socket"
    with program(["serve"], tmp_path, environ) as server:
        server.says(r'"event":"(serving)"')
