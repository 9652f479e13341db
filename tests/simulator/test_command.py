"""The simulator as a program: what it prints, and that signals end it."""

import os
import signal
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

from appliance.simulator.builtin_worlds import built_in
from appliance.simulator.command import choose, describe, facts, run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    told: list[str] = []
    opened = trio.Event()

    def tell(text: str) -> None:
        told.append(text)
        opened.set()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run(built_in("instant"), tell=tell))
            await opened.wait()
            [base_url] = told
            async with httpx.AsyncClient(trust_env=False, headers={"authorization": "Bearer sk-sim-x"}) as client:
                assert (await client.get(f"{base_url}/models")).status_code == 200
            os.kill(os.getpid(), number)


def test_the_description_names_what_a_person_needs() -> None:
    text = describe(built_in("demo"), "http://127.0.0.1:1/v1")
    assert text.startswith("base URL   http://127.0.0.1:1/v1\n")
    assert "sk-sim-" in text
    assert "http://127.0.0.1:1/_journal" in text
    for name, model in built_in("demo").models.items():
        assert name in text
        assert model.about in text


def test_a_script_is_told_the_same() -> None:
    told = facts(built_in("demo"), "http://127.0.0.1:1/v1")
    assert told["base_url"] == "http://127.0.0.1:1/v1" and told["journal"] == "http://127.0.0.1:1/_journal"
    assert told["models"] == list(built_in("demo").models)


def test_a_world_is_chosen_by_name_or_file(tmp_path: Path) -> None:
    file = tmp_path / "w.toml"
    file.write_text('name = "mine"\n')
    assert choose("instant").name == "instant"
    assert choose("instant", file).name == "mine"
    with pytest.raises(KeyError):
        choose("none")
    file.write_text("odd = 1\n")
    with pytest.raises(msgspec.ValidationError):
        choose(file=file)
