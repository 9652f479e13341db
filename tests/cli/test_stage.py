"""The stage: whole, apart from the user's things, and gone afterwards."""

from pathlib import Path

import pytest

from appliance.cli.operator import asked
from appliance.cli.stage import PROVIDER, staged
from appliance.simulator.builtin_worlds import built_in


async def test_it_serves_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STARTLINE_DATA_FOLDER", str(tmp_path / "users"))
    monkeypatch.setenv("STARTLINE_MAX_CONNECTIONS", "nonsense")
    async with staged(built_in("instant")) as stage:
        body = {"model": "sim-instant", "messages": [{"role": "user", "content": "hello"}]}
        answer = await stage.client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200 and answer.headers["x-startline-provider"] == PROVIDER
        assert stage.simulator.journal[-1].outcome == "completed"
        [key] = (await asked(stage.admin, "GET", "/admin/v1/keys"))["keys"]
        assert key["id"] == stage.key_id
        folder = stage.folder
        assert (folder / "startline.sock").exists()
    assert not folder.exists() and not (tmp_path / "users").exists()
