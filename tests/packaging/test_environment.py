"""packaging/run and packaging/environment.py, on a made-up checkout whose lock holds one made-up package."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PRINTS_ITS_ARGUMENTS = "import sys, tiny\nprint(tiny.VERSION, sys.argv[1:])\n"


def make_wheel(folder: Path, version: str) -> str:
    """Write a wheel of the package `tiny` and return its line in a lock file."""
    path = folder / f"tiny-{version}-py3-none-any.whl"
    info = f"tiny-{version}.dist-info"
    files = {
        "tiny.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(text)}\n"
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return f"tiny=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Checkout:
    """A checkout in a folder with a space in its name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = root / "packaging" / "requirements.lock"
        (root / "appliance").mkdir(parents=True)
        (root / "appliance" / "__main__.py").write_text(PRINTS_ITS_ARGUMENTS)
        (root / "packaging").mkdir()
        for name in ("run", "python.sh", "environment.py"):
            shutil.copy(ROOT / "packaging" / name, root / "packaging" / name)
        self.lock.write_text(make_wheel(root, "1"))

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.root.as_uri(), "PIP_CONFIG_FILE": os.devnull}
        return subprocess.Popen(
            ["sh", "packaging/run", *arguments],
            cwd=self.root,
            env={**os.environ, "STARTLINE_PYTHON": sys.executable, **settings, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environ)
        out, err = process.communicate(timeout=90)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("made up") / "a checkout")


def test_two_first_runs_at_once_share_one_installation(checkout: Checkout) -> None:
    processes = [checkout.start(), checkout.start("--exit")]
    results = [process.communicate(timeout=90) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert [out for out, _ in results] == ["1 ['demo']\n", "1 ['demo', '--exit']\n"]
    assert sum(err.count("is ready") for _, err in results) == 1


def test_a_later_run_installs_nothing_and_passes_a_command_on(checkout: Checkout) -> None:
    assert checkout.run("key", "create", "a b") == (0, "1 ['key', 'create', 'a b']\n", "")


def test_a_changed_lock_is_installed(checkout: Checkout) -> None:
    checkout.lock.write_text(make_wheel(checkout.root, "2"))
    code, out, err = checkout.run()
    assert (code, out) == (0, "2 ['demo']\n")
    assert "installing packaging/requirements.lock" in err


def test_what_an_interrupted_installation_left_is_installed_anew(checkout: Checkout) -> None:
    (packages,) = (checkout.root / ".venv" / "run" / "lib").glob("python3.*/site-packages")
    (packages / "startline.stamp").unlink()
    (packages / "startline.unfinished").touch()
    (packages / "tiny.py").write_text("")
    assert checkout.run()[:2] == (0, "2 ['demo']\n")
    assert not (packages / "startline.unfinished").exists()


def test_a_wrong_hash_is_refused_and_the_next_run_tries_again(checkout: Checkout) -> None:
    right = make_wheel(checkout.root, "3")
    checkout.lock.write_text(right[:-9] + "00000000\n")
    for _ in range(2):
        code, out, err = checkout.run()
        assert (code, out) == (1, "")
        assert "HASHES" in err
        assert "could not install" in err
    checkout.lock.write_text(right)
    assert checkout.run()[:2] == (0, "3 ['demo']\n")


def test_without_a_python_it_says_what_to_do(checkout: Checkout, tmp_path: Path) -> None:
    for tool in ("sh", "dirname"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    code, out, err = checkout.run(PATH=str(tmp_path), STARTLINE_PYTHON="")
    assert (code, out) == (1, "")
    assert "apt-get install python3" in err
