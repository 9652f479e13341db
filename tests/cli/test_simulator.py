"""The simulator as a command."""

from pathlib import Path

import httpx
import pytest

from tests.cli.live import running
from tests.cli.terminal import Terminal


@pytest.mark.sockets
def test_it_plays_a_world_of_ones_own_until_it_is_told_to_stop(tmp_path: Path) -> None:
    world = tmp_path / "world.toml"
    world.write_text('name = "own"\n[models."m".tiers.default]\nstart = 0\ntext = "so be it"\n')
    with running(tmp_path, "simulator", "--port", "0", "--file", str(world), "--time-scale", "0.1") as simulator:
        base_url = simulator.told(r"base URL +(\S+)")
        body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        headers = {"authorization": "Bearer sk-sim-x"}
        answer = httpx.post(f"{base_url}/chat/completions", json=body, headers=headers, trust_env=False)
        assert answer.json()["choices"][0]["message"]["content"] == "so be it"
        assert simulator.stop() == 0


def test_what_is_wrong_is_said(terminal: Terminal, tmp_path: Path) -> None:
    assert "no built-in world" in terminal.run("simulator", "--world", "flat", status=2).stderr
    (tmp_path / "bad.toml").write_text("models = 5")
    assert "bad.toml" in terminal.run("simulator", "--file", str(tmp_path / "bad.toml"), status=1).stderr
    assert "cannot listen" in terminal.run("simulator", "--host", "203.0.113.1", "--port", "1", status=1).stderr


@pytest.mark.sockets
def test_a_script_is_told_where_it_is(tmp_path: Path) -> None:
    with running(tmp_path, "simulator", "--port", "0", "--json") as shown:
        base_url = shown.told(r'"base_url": "(http://127\.0\.0\.1:\d+/v1)"')
        headers = {"authorization": "Bearer sk-sim-x"}
        assert httpx.get(f"{base_url}/models", headers=headers, trust_env=False).status_code == 200
        assert shown.stop() == 0
