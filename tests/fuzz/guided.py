"""One target guided by coverage: atheris, where it is installed. No dependency: the cases of `cases.py` need none.

libFuzzer owns the process and ends it, so this is run as `python -m tests.fuzz --atheris` for one target at a time.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

from tests.fuzz.seeds import seeds_of, words_of

INSTRUMENTED = ("appliance.http1", "appliance.wire", "appliance.policy.address", "appliance.server.asgi_gate")
MODULES = ("tests.fuzz.cases",)


def guide(target: str, seconds: float | None, cases: int | None, crashes: Path) -> None:
    """Run libFuzzer on a target until the limit; it prints what it does and exits the process. Raises ImportError."""
    atheris: Any = importlib.import_module("atheris")
    for name in [name for name in sys.modules if name.startswith(INSTRUMENTED)]:
        del sys.modules[name]  # what is loaded already would not be instrumented
    for name in [name for name in sys.modules if name.startswith("tests.") and name not in ("tests.fuzz",)]:
        if name not in (__name__, "tests.fuzz.seeds", "tests.fuzz.__main__"):
            del sys.modules[name]
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        loaded = importlib.import_module("tests.fuzz.cases")
    corpus, found = crashes / f"corpus-{target}", crashes / "atheris"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for at, seed in enumerate(seeds_of(target)):
        (corpus / f"seed-{at}").write_bytes(seed)
    dictionary = crashes / f"words-{target}"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words_of(target)))
    options = [f"-artifact_prefix={found}/{target}-", f"-dict={dictionary}", "-max_len=4096", "-print_final_stats=1"]
    if seconds is not None:
        options.append(f"-max_total_time={int(seconds)}")
    if cases is not None:
        options.append(f"-runs={cases}")
    atheris.Setup(["fuzz", *options, str(corpus)], loaded.TARGETS[target])
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)
