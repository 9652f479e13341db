"""Health, readiness and metrics: for whom, and when they turn red."""

import shutil
from typing import NamedTuple

import pytest

from tests.rig import chat
from tests.server.admin.office import Office


class Disk(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/admin/v1/health"])
async def test_strangers_and_inference_keys_see_nothing(office: Office, path: str) -> None:
    async with office.rig.http() as client:
        assert (await client.get(path)).status_code == 401
        assert (await client.get(path, headers={"authorization": ""})).status_code == 401
    for client in (office.operator, office.manager):
        assert (await client.get(path)).status_code == 200


async def test_a_nearly_full_disk_turns_readiness_red_before_records_are_lost(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await office.operator.get("/readyz")).text == "ready\n"
    for free, total in ((200 * 2**20, 10**10), (2**30, 10**12)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, disk=Disk(total, total - free, free): disk)
        answer = await office.manager.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "disk_nearly_full\n")
        told = await office.ask("GET", "health")
        assert (told["ready"], told["reasons"], told["disk_free_bytes"]) == (False, ["disk_nearly_full"], free)


async def test_the_operator_sees_all_and_a_key_its_own(office: Office) -> None:
    store = office.rig.appliance.store
    other = await store.organisations.create("other", now_unix_s=1)
    await store.api_keys.create(other.organisation_id, "inference", "x", now_unix_s=1)
    told = await office.ask("GET", "health")
    assert (told["keys"], told["organisations"], told["data_folder"]) == (3, 2, str(office.rig.folder))
    own = await office.ask("GET", "health", by="manager")
    assert own["keys"] == 2 and "organisations" not in own and "data_folder" not in own


async def test_metrics_count_requests(office: Office) -> None:
    async with office.rig.http() as client:
        await client.post("/v1/chat/completions", json=chat(start_within="20s"))
    answer = await office.manager.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'endpoint="chat.completions",provider="sim",reason="flex_won",status="2xx"} 1.0' in answer.text
