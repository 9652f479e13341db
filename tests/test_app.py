"""The composition: everything is wired, and all of it ends with the block."""

import socket
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

from appliance.app import open_appliance, serve
from appliance.server.listen import open_tcp
from appliance.server.metrics import METRICS
from appliance.settings import SettingsFault, load
from appliance.store.faults import BadMasterKey, FolderLocked
from appliance.store.usage import UsageFilter
from tests.end_to_end.asking import chat
from tests.rig import running

NOW_S = 1_795_000_000


async def test_a_folder_opens_once_and_again_after_it_was_left(tmp_path: Path) -> None:
    settings = load(environment={})
    async with open_appliance(settings, tmp_path / "data"):
        with pytest.raises(FolderLocked):
            async with open_appliance(settings, tmp_path / "data"):
                raise AssertionError("two processes shared a folder")
    async with open_appliance(settings, tmp_path / "data") as appliance:
        assert appliance.store.ledger.available


async def test_a_master_key_that_is_none_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    settings = load(environment={"STARTLINE_MASTER_KEY": "c2hvcnQ="})
    with pytest.raises(BadMasterKey):
        async with open_appliance(settings, tmp_path / "data"):
            raise AssertionError("it opened")
    assert not (tmp_path / "data" / "startline.db").exists()


async def test_every_metric_of_the_table_is_there_at_once(tmp_path: Path) -> None:
    async with open_appliance(load(environment={}), tmp_path) as appliance:
        told = appliance.metrics.exposition().decode()
    for name, text in METRICS:
        assert f"# HELP {name} {text}" in told or f"# HELP {name.removesuffix('_total')} {text}" in told, name


async def test_a_served_appliance_answers_and_lets_its_port_go(tmp_path: Path) -> None:
    lines: list[bytes] = []
    sockets = open_tcp("127.0.0.1:0")
    address = sockets[0].getsockname()
    async with open_appliance(load(environment={}), tmp_path, lines.append) as appliance:
        organisation = await appliance.store.organisations.create("default", now_unix_s=NOW_S)
        _, token = await appliance.store.api_keys.create(
            organisation.organisation_id, "inference", "key", now_unix_s=NOW_S
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, appliance, sockets)
            async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
                assert (await client.get("/healthz")).status_code == 200
                headers = {"authorization": f"Bearer {token}"}
                answer = await client.post("/v1/chat/completions", headers=headers, json={"model": "m", "messages": []})
                assert answer.json()["error"]["code"] == "no_provider"
            nursery.cancel_scope.cancel()
        with socket.socket() as probe:
            assert probe.connect_ex(address) != 0, "the port is still open"
    logged = [msgspec.json.decode(line) for line in b"".join(lines).splitlines()]
    assert [line["error"] for line in logged] == ["no_provider"], "the last lines were written at the end"


async def test_an_operators_prices_go_before_and_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text('[openai."gpt-5.4".default]\ninput = 7\noutput = 8\n')
    async with open_appliance(load(environment={}), tmp_path) as appliance:
        rates = appliance.prices.rates("openai", "gpt-5.4", "default")
        assert rates is not None
        assert rates.input == 7_000_000
        assert appliance.prices.rates("openai", "gpt-5.4", "flex") is not None
    for file, text in (("prices.toml", "[openai"), ("prices.toml", "openai = 3"), ("profiles/mine.toml", "title = 1")):
        own.unlink(missing_ok=True)
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        with pytest.raises(SettingsFault, match=file.replace(".", r"\.")):
            async with open_appliance(load(environment={}), tmp_path):
                pass


async def test_a_stop_records_what_was_left_running_and_leaves_nothing(tmp_path: Path) -> None:
    async with running(data_folder=tmp_path, reserve_s={"default": 5.0}) as rig:
        store = rig.appliance.store
        (organisation,) = store.directory.organisations()
        await store.organisations.change(organisation, explore=True)
        race = chat("look", "mark", "flex.start=30", start_within="2s", stream=True)
        async with rig.http() as client, trio.open_nursery() as nursery:

            async def lose() -> None:
                answer = await client.post("/v1/chat/completions", json=race)
                assert "detached@" in answer.headers["x-startline-race"]

            for _ in range(3):
                nursery.start_soon(lose)
        observatory = rig.appliance.gateway.observatory
        assert len(observatory.running) == 3 and b'outcome="detached"' not in rig.appliance.metrics.exposition()
    assert not observatory.running and not observatory.open
    assert b'outcome="detached"' in rig.appliance.metrics.exposition()
    async with open_appliance(load(environment={}), tmp_path) as again:
        assert again.store.recovery.interrupted == 0
        page = await again.store.usage.page(UsageFilter())
        details = [await again.store.usage.request(request.request_id) for request in page.requests]
        purses = again.gateway.engine.purses
    (purse,) = purses.keep()
    assert purse.spent > 0 and purse.used == 0 and purse.holds == purse.most, "looks at the stop gave back, then saved"
    assert purses.keep() == rig.appliance.gateway.engine.purses.keep()
    losers = [detail.attempts[0] for detail in details if detail is not None]
    assert [(one.outcome, one.cancel_cause) for one in losers] == [("detached", "shutdown")] * 3
