"""The self-test: it finds nothing in a whole installation, and something in a broken one."""

import pytest

from appliance.cli import selftest
from appliance.simulator.world import Model, World
from tests.cli.terminal import Terminal


def test_a_whole_installation_passes(terminal: Terminal) -> None:
    checks = terminal.json("selftest")
    assert [check for check in checks if not check["ok"]] == []
    assert len({check["check"] for check in checks}) == len(checks) >= 14
    assert not terminal.folder.exists()


def test_what_is_wrong_is_in_its_line(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = selftest.selftest_world()
    models = whole.models | {"text-embedding-3-small": Model(tiers=whole.models["gpt-5.4"].tiers, dimensions=5)}
    monkeypatch.setattr(selftest, "selftest_world", lambda: World(models=models))
    monkeypatch.setattr(selftest, "_scenes", lambda: ())
    told = terminal.run("selftest", status=1).stdout
    assert [line.split()[:1] for line in told.splitlines() if "  ok " not in line] == [["check"], ["embeddings"]]
    assert "5 dimensions" in told
