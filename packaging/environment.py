"""Bring a virtual environment of the checkout up to its lock file. Standard library only; called by run and test.

`python3 packaging/environment.py NAME LOCKFILE` makes or completes `.venv/NAME` and installs LOCKFILE with hashes,
wheels only. It does nothing when the stamp inside says that the same lock was installed completely. The rules:

* One installation at a time: a file lock, released by the kernel even if this program is killed.
* The stamp is written last. What an interrupted installation left is installed anew over itself; an environment
  without a stamp is completed in place, never deleted while its Python and pip work, since others may run from it.
* Its name is not venv.py: that would hide the standard library's module from this very program.
* The checkout is put on the path by a `.pth` file, and `bin/startline` is a two-line script: editing a source file
  needs no installation.
"""

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROBE = "import sys, sysconfig; assert sys.version_info >= (3, 11); print(sysconfig.get_path('purelib'))"
NO_PIP = """startline: this Python can make no virtual environment with pip in it ({python}).
    Debian, Ubuntu:  apt-get install python3-venv
    Fedora:          dnf install python3-pip
    otherwise:       a Python 3.11 or later from python.org"""


def say(text: str) -> None:
    """Print one line about progress to standard error: standard output belongs to the command that follows."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file lock PATH; whoever comes second waits, and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("startline: another installation is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def clean_environ() -> dict[str, str]:
    """Return the environment without what would send pip's work elsewhere; mirrors and proxies stay as set."""
    unwanted = {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_NO_DEPS"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return kept | {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


def site_packages(python: Path) -> Path | None:
    """Return where PYTHON keeps its packages, or None if it does not run or is older than 3.11."""
    try:
        done = subprocess.run([python, "-I", "-c", PROBE], capture_output=True, text=True)
    except OSError:
        return None
    return Path(done.stdout.strip()) if done.returncode == 0 else None


def pip_command(python: Path) -> list[str] | None:
    """Return the command that runs pip for PYTHON: its own, or that of the Python which runs this program."""
    own = [str(python), "-I", "-m", "pip"]
    # Debian without python3-venv but with python3-pip: pip can install into another environment.
    outer = [sys.executable, "-I", "-m", "pip", "--python", str(python)]
    for command in (own, outer):
        done = subprocess.run([*command, "--version"], capture_output=True, env=clean_environ())
        if done.returncode == 0:
            return command
    return None


def create(home: Path) -> None:
    """Make the virtual environment HOME anew, with pip if this Python can."""
    has_ensurepip = importlib.util.find_spec("ensurepip") is not None
    builder = venv.EnvBuilder(clear=True, symlinks=True, with_pip=has_ensurepip)
    try:
        builder.create(home)
    except subprocess.CalledProcessError as error:
        raise SystemExit(NO_PIP.format(python=sys.executable)) from error


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write TEXT to PATH in one step, so that no reader sees half of it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)


def install(name: str, lock: Path) -> None:
    """Bring `.venv/NAME` up to LOCK; return at once when it is."""
    home = ROOT / ".venv" / name
    python = home / "bin" / "python"
    stamp_text = f"{hashlib.sha256(lock.read_bytes()).hexdigest()}\n{ROOT}\n"
    with locked(ROOT / ".venv" / f"{name}.lock"):
        # The stamp lies among the packages: a new minor version of Python looks elsewhere and finds none.
        packages = site_packages(python)
        if packages is not None:
            stamp = packages / "startline.stamp"
            if stamp.exists() and stamp.read_text() == stamp_text:
                return
        began_s = time.monotonic()
        if packages is None or pip_command(python) is None:
            say(f"startline: making .venv/{name}")
            create(home)
            packages = site_packages(python)
        pip = pip_command(python)
        if packages is None or pip is None:
            raise SystemExit(NO_PIP.format(python=sys.executable))
        say(f"startline: installing {lock.relative_to(ROOT)} into .venv/{name} (once; about a minute)")
        stamp = packages / "startline.stamp"
        stamp.unlink(missing_ok=True)
        # Left behind by an installation that was interrupted: pip may take a half-written package for a whole one.
        unfinished = packages / "startline.unfinished"
        again = ["--force-reinstall"] if unfinished.exists() else []
        unfinished.touch()
        command = [*pip, "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--no-deps", *again]
        command += ["--requirement", str(lock)]
        # Its warnings are kept back: on success they are about the machine's pip settings, not about us.
        done = subprocess.run(command, env=clean_environ(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            say("\n".join((done.stdout + done.stderr).splitlines()[-20:]))
            raise SystemExit(
                "startline: pip could not install the pinned packages (its words are above). Without a way to the\n"
                "package index set PIP_INDEX_URL or PIP_FIND_LINKS to a mirror; then call this again."
            )
        write(packages / "startline.pth", f"{ROOT}\n")
        write(home / "bin" / "startline", f'#!/bin/sh\nexec "{python}" -P -m appliance "$@"\n', 0o755)
        write(stamp, stamp_text)
        unfinished.unlink()
        say(f"startline: .venv/{name} is ready ({time.monotonic() - began_s:.0f} s)")


if __name__ == "__main__":
    install(sys.argv[1], (ROOT / sys.argv[2]).resolve())
