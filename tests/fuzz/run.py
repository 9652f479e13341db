"""Runs cases of the targets until cases or seconds are used up. The rule: a crash is kept as bytes, and goes on."""

import random
import resource
import time
import zlib
from pathlib import Path

import msgspec

from tests.fuzz.cases import TARGETS, cases

BATCH = 500
SLOW_S = 0.5
"""CPU seconds that no case of a few kilobytes may take."""
MOST_KEPT = 5


class Crash(msgspec.Struct, frozen=True):
    """What a case did: the class and place of the exception tell crashes apart."""

    target: str
    kind: str
    file: str


class Result(msgspec.Struct):
    """What was done; `seconds` are wall clock."""

    cases: dict[str, int]
    seconds: dict[str, float]
    crashes: list[Crash]
    peak_mib: int = 0


def run(
    targets: list[str], seed: int, *, most_cases: int | None, most_s: float | None, folder: Path | None = None
) -> Result:
    """A batch at a time, each target for as long; `most_cases` and `most_s` are over all of them together."""
    makers = {target: cases(target, random.Random(f"{seed}/{target}")) for target in targets}
    result = Result(dict.fromkeys(targets, 0), dict.fromkeys(targets, 0.0), [])
    found: dict[tuple[str, str], int] = {}
    began_s = time.monotonic()
    done = 0
    while (most_cases is None or done < most_cases) and (most_s is None or time.monotonic() - began_s < most_s):
        target = min(targets, key=result.seconds.__getitem__)  # all get the same time
        check, maker = TARGETS[target], makers[target]
        batch_began_s = time.monotonic()
        for _ in range(BATCH):
            data = next(maker)
            cpu_s = time.thread_time()
            try:
                check(data)
                kind = "slow" if time.thread_time() - cpu_s > SLOW_S else ""
            except Exception as failure:  # noqa: BLE001 - any exception is what is looked for
                kind = _kind(failure)
            if kind:
                seen = found[target, kind] = found.get((target, kind), 0) + 1
                if seen <= MOST_KEPT:
                    result.crashes.append(Crash(target, kind, _keep(folder, target, data)))
        result.cases[target] += BATCH
        result.seconds[target] += time.monotonic() - batch_began_s
        done += BATCH
    result.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return result


def _kind(failure: BaseException) -> str:
    trace, place = failure.__traceback__, ""
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    words = str(failure).partition("\n")[0][:100] if isinstance(failure, AssertionError) else ""
    return f"{type(failure).__name__} at {place} {words}".strip()


def _keep(folder: Path | None, target: str, data: bytes) -> str:
    if folder is None:
        return repr(data)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{target}-{zlib.crc32(data):08x}"
    file.write_bytes(data)
    return str(file)
