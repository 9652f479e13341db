"""What could not be used is not stored, be it of a key, a preset or an organisation."""

from typing import Any

import pytest

from tests.rig import MODEL
from tests.server.admin.office import Office

LADDER = [f"sim/{MODEL}:flex", f"sim/{MODEL}"]


async def test_the_words_are_kept_for_all_three(office: Office) -> None:
    words = {"start_within": "30s", "start_target": "99.9%", "finish_within": "2m"}
    kept = words | {"start_target": 0.999}
    made = await office.ask("POST", "organisations", status=201, json={"name": "beta", "explore": False} | words)
    assert made | kept == made and made["explore"] is False
    key = await office.ask("POST", "keys", status=201, json={"name": "x", "ladder": LADDER} | words)
    assert key | kept == key and key["ladder"] == LADDER
    preset = await office.ask("POST", "presets", status=201, json={"name": "p", "ladder": LADDER} | words)
    assert preset | kept == preset and preset["ladder"] == LADDER


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"start_within": "soon"}, "bad_request"),
        ({"start_within": "2h"}, "bad_request"),
        ({"start_target": "101%"}, "bad_request"),
        ({"start_target": 0.2}, "bad_request"),
        ({"start_target": True}, "bad_request"),
        ({"finish_within": "flex"}, "bad_request"),
        ({"finish_within": "2h"}, "bad_request"),
        ({"start_within": "default", "finish_within": "2m"}, "bad_request"),
    ],
)
async def test_what_could_not_be_used_is_refused(office: Office, words: dict[str, Any], code: str) -> None:
    for path in ("keys", "presets", "organisations"):
        assert await office.refused("POST", path, json={"name": "x"} | words) == code
    assert await office.refused("PATCH", "organisations/acme", json=words) == code


@pytest.mark.parametrize(
    ("ladder", "code"),
    [
        (["gpt"], "bad_request"),
        ([f"sim/{MODEL}"] * 2, "bad_request"),
        ([f"sim/m{n}" for n in range(7)], "bad_request"),
        (["nobody/m"], "invalid_ladder"),
    ],
)
async def test_a_ladder_that_leads_nowhere_is_refused(office: Office, ladder: list[str], code: str) -> None:
    for path in ("keys", "presets"):
        assert await office.refused("POST", path, json={"name": "x", "ladder": ladder}) == code


async def test_a_tier_word_and_a_deadline_of_the_end_exclude_each_other_later_too(office: Office) -> None:
    await office.ask("PATCH", "organisations/acme", json={"finish_within": "2m"})
    assert await office.refused("PATCH", "organisations/acme", json={"start_within": "flex"}) == "bad_request"
    both = {"start_within": "flex", "finish_within": None}
    assert (await office.ask("PATCH", "organisations/acme", json=both))["start_within"] == "flex"
