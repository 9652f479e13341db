"""What a soak's samples are judged by: growth fails it, what piled-up clients explain does not."""

from tests.soak.served import Snapshot
from tests.soak.soaking import LONG_S, Report, Sample

REST = Snapshot(tasks=1, standing_tasks=1, blocks=1, heap_bytes=1, held={"idle": 0}, rss_bytes=1, files=1)


def faults(
    seconds: float = LONG_S, memory: float = 0.0, heap: float = 0.0, blocks: float = 0.0, connections: float = 0.0
) -> list[str]:
    """The faults of a run in which each of these grew evenly, by so much in all of it."""
    report = Report()
    report.soaked_s = seconds
    report.before = report.after = REST
    for at in range(100):
        share = at / 100
        report.samples.append(
            Sample(share * seconds, memory * share, heap * share, blocks * share, 18, 17, int(connections * share), 0)
        )
    report.judge()
    return [fault.split(":")[0] for fault in report.faults]


def test_what_grows_is_told() -> None:
    assert faults() == []
    assert faults(memory=7.5e6, heap=2.2e6, blocks=9_000) == []
    assert faults(memory=8.5e6) == ["memory grows"]
    assert faults(heap=3e6) == ["heap grows"]
    assert faults(blocks=11_000) == ["blocks grows"]


def test_clients_that_piled_up_explain_memory_and_blocks_but_not_what_malloc_gave_out() -> None:
    assert faults(memory=13e6, blocks=20_000, connections=100) == []
    assert faults(memory=15e6, connections=100) == ["memory grows"]
    assert faults(heap=3e6, connections=100) == ["heap grows"]


def test_the_sizes_of_a_short_run_are_not_judged() -> None:
    assert faults(seconds=120.0, memory=50e6, heap=50e6, blocks=50_000) == []
