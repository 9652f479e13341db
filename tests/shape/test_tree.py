"""What lies in the repository: a short top level, no paths of one machine, no hosts of registries, hashed locks.

Why: the top level is the first thing that a newcomer sees. A path or a host of the machine on which something was
written works nowhere else, and a lock without hashes installs whatever the index serves that day.
"""

import re
import subprocess
import tomllib
from functools import lru_cache
from typing import Final

from tests.shape.sources import ROOT, Finding, assert_none

TOP_LEVEL: Final = frozenset({"pyproject.toml", "README.md", "appliance", "tests", "systemd", "packaging"})
# Put together from parts, so that this file does not contain what it looks for.
REGISTRY_HOSTS: Final = tuple(
    "".join(parts)
    for parts in (
        ("py", "pi.org"), ("files.python", "hosted.org"), ("registry.npm", "js"), ("registry.yarn", "pkg"),
        ("proxy.go", "lang.org"), ("crates", ".io"), ("conda.ana", "conda.org"), ("deb.deb", "ian.org"),
    )
)  # fmt: skip
MACHINE_PATH: Final = re.compile(r"(?<![\w.:/-])/(?:work|root|home|Users|tmp/brief)/[\w.]")
LOCKS: Final = ("packaging/requirements.lock", "packaging/requirements-test.lock")
HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}")
ENTRY: Final = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[\w.!+-]+)(?:\s*;[^\\]*)?\s*\\?")


@lru_cache(maxsize=1)
def tracked() -> tuple[str, ...]:
    """Return the tracked files; outside a clone (an unpacked archive) every file but what tools leave behind."""
    done = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True)
    if done.returncode == 0 and done.stdout:
        return tuple(name for name in done.stdout.split("\0") if name and (ROOT / name).is_file())
    files = (file.relative_to(ROOT) for file in ROOT.rglob("*") if file.is_file())
    return tuple(str(file) for file in files if not any(part.startswith((".", "__")) for part in file.parts))


def strays(paths: tuple[str, ...]) -> list[Finding]:
    tops = {path.split("/")[0] for path in paths}
    remedy = f"the top level holds {', '.join(sorted(TOP_LEVEL))} and dot-files"
    return [Finding(top, 1, "tree", remedy) for top in sorted(tops) if top not in TOP_LEVEL and not top.startswith(".")]


def local_words(path: str, text: str) -> list[Finding]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if match := MACHINE_PATH.search(line):
            found.append(Finding(path, number, "tree", f"a path of one machine ({match[0]}…): make it relative"))
        found += [
            Finding(path, number, "tree", f"the host of a package registry ({host}): leave it to the user's settings")
            for host in REGISTRY_HOSTS
            if host in line
        ]
    return found


def unhashed(path: str, text: str) -> list[Finding]:
    """Say which entries of a lock are not `name==version` followed by at least one SHA-256."""
    found = []
    for block in re.split(r"\n(?=\S)", text):
        if not block.strip() or block.startswith("#"):
            continue
        head, *rest = block.splitlines()
        hashes = [line.strip().rstrip("\\ ") for line in rest if not line.strip().startswith("#")]
        if not ENTRY.fullmatch(head):
            found.append(Finding(path, 1, "lock", f"not a pinned entry: {head[:80]!r}; run `sh packaging/lock`"))
        elif not hashes or not all(HASH.fullmatch(line) for line in hashes):
            found.append(Finding(path, 1, "lock", f"no hashes: {head[:80]!r}; run `sh packaging/lock`"))
    return found


def pins(text: str) -> set[tuple[str, str]]:
    lines = (ENTRY.fullmatch(line) for line in text.splitlines() if not line.startswith((" ", "#")))
    return {(found["name"], found["version"]) for found in lines if found}


def test_the_top_level_is_short() -> None:
    assert_none(strays(tracked()))
    if (ROOT / "appliance/cli/main.py").exists():
        assert (ROOT / "README.md").exists(), "README.md is missing: how else does anybody begin?"


def test_no_word_of_one_machine() -> None:
    found: list[Finding] = []
    for path in tracked():
        found += local_words(path, (ROOT / path).read_bytes().decode("utf-8", "replace"))
    assert_none(found)


def test_every_lock_entry_has_hashes() -> None:
    assert_none([finding for lock in LOCKS for finding in unhashed(lock, (ROOT / lock).read_text())])


def test_the_locks_agree_and_hold_every_dependency() -> None:
    run, test = (pins((ROOT / lock).read_text()) for lock in LOCKS)
    assert run - test == set(), "the two locks pin different versions: run `sh packaging/lock`"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for wanted, have in ((project["dependencies"], run), (project["optional-dependencies"]["test"], test)):
        names = {re.split(r"[^\w.-]", entry)[0].lower().replace("_", "-") for entry in wanted}
        assert names - {name for name, _ in have} == set(), "not in the lock: run `sh packaging/lock`"


def test_the_checks_fire() -> None:
    assert strays(("notes.txt", "appliance/x.py", ".ci/run")) == strays(("notes.txt",)) != []
    assert local_words("a", "see " + "/ho" + "me/someone/x")
    assert local_words("a", "https://" + REGISTRY_HOSTS[0] + "/simple")
    assert local_words("a", "/v1/models and https://example.org/home/x and /tmp/x") == []
    good = "a==1 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    assert unhashed("a", "# made by\n" + good) == []
    for bad in ("a==1\n", "a>=1 \\\n    --hash=sha256:" + "0" * 64 + "\n", "--index-url x\n", good + "b==1\n"):
        assert unhashed("a", bad), bad
