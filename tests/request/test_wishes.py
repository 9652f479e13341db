"""What a key's requests get that say nothing: the key's words, its preset's, the organisation's, the settings."""

from typing import Any

import msgspec
import pytest

from appliance.domain.identity import Organisation
from appliance.domain.ladder import Step
from appliance.domain.tier import StartWithin, Window
from appliance.request.said import Said
from appliance.request.wishes import Defaults, Wishes
from appliance.settings import Settings
from appliance.store.memory import MemoryDirectory

LADDER = ("a/m:flex", "b/n")
STEPS = (Step("a", "m", "flex"), Step("b", "n"))


def directory(organisation: dict[str, Any], preset: dict[str, Any], key: dict[str, Any]) -> MemoryDirectory:
    known = MemoryDirectory(Organisation("org_test", "test", **organisation)).with_key(**key)
    return known.with_preset("night", **preset)


def defaults(
    *,
    organisation: dict[str, Any] | None = None,
    preset: dict[str, Any] | None = None,
    key: dict[str, Any] | None = None,
    named: str | None = None,
    **settings: Any,
) -> Defaults:
    known = directory(organisation or {}, preset or {}, key or {})
    wishes = Wishes(known, Settings(**settings))
    return wishes.of(known.keys()[0]) if named is None else wishes.with_preset(known.keys()[0], named)


@pytest.mark.parametrize(
    ("facts", "wish", "ladder"),
    [
        ({}, "default", None),
        ({"start_within": "30s", "start_target": 0.9, "finish_within": "60s"}, Window(30.0, 0.9, 60.0), None),
        ({"organisation": {"start_within": "20s", "start_target": 0.999}}, Window(20.0, 0.999), None),
        ({"organisation": {"finish_within": "2m"}}, Window(120.0, 0.99, 120.0), None),
        # the key's preset, before the organisation and behind the key
        (
            {"key": {"preset": "night"}, "preset": {"start_within": "10m", "ladder": LADDER},
             "organisation": {"start_within": "20s", "start_target": 0.9}},
            Window(600.0, 0.9), STEPS,
        ),
        (
            {"key": {"preset": "night", "start_within": "5s"}, "preset": {"start_within": "10m", "start_target": 0.9}},
            Window(5.0, 0.9), None,
        ),
        ({"key": {"ladder": LADDER}, "preset": {"ladder": ("x/y",)}}, "default", STEPS),
        ({"key": {"ladder": LADDER, "start_within": "default"}}, "default", STEPS),
        # a preset that the request names goes before the key, and in place of the key's own
        (
            {"named": "night", "key": {"start_within": "5s", "start_target": 0.9}, "preset": {"start_within": "10m"}},
            Window(600.0, 0.9), None,
        ),
        ({"named": "night", "key": {"start_within": "default"}, "preset": {"ladder": LADDER}}, "default", STEPS),
        ({"named": "night", "key": {"preset": "gone"}}, "default", None),
    ],
)  # fmt: skip
def test_the_nearest_word_holds(facts: dict[str, Any], wish: object, ladder: object) -> None:
    found = defaults(**facts)
    assert found.trouble is None
    assert (found.wish, found.ladder) == (wish, ladder)


def test_an_ordinary_key_has_nothing_special() -> None:
    assert defaults(key={"start_within": "30s"}).special is False
    assert defaults(key={"preset": "night"}).special is True
    assert defaults(key={"ladder": LADDER}).special is True


@pytest.mark.parametrize("start", [Window(9.0), Window(200.0), "flex"])
@pytest.mark.parametrize("key", [{}, {"finish_within": "60s"}, {"start_target": 0.9, "start_within": "flex"}])
def test_what_a_request_says_alone_holds_as_it_would_beside_all_else(start: StartWithin, key: dict[str, Any]) -> None:
    known = directory({"start_within": "20s", "finish_within": "2m", "start_target": 0.999}, {}, key)
    wishes = Wishes(known, Settings())
    found = wishes.of(known.keys()[0])
    assert wishes.beside(found, start) == wishes.resolve((Said(start), *found.said))[0]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"key": {"start_within": "20m"}}, "invalid_start_within"),
        ({"organisation": {"finish_within": "2h"}}, "invalid_start_within"),
        ({"key": {"preset": "gone"}}, "preset_not_found"),
        ({"named": "nigth"}, "preset_not_found"),
    ],
)
def test_what_cannot_be_used_is_told(facts: dict[str, Any], code: str) -> None:
    found = defaults(**facts)
    assert found.trouble is not None and found.special
    fault = found.fault()
    assert (fault.code, fault.status) == (code, 400)
    if "named" in facts:
        assert fault.message == "There is no preset of this name. Near: night."


def test_a_change_of_the_directory_holds_at_once() -> None:
    known = directory({}, {}, {})
    wishes = Wishes(known, Settings())
    key = known.keys()[0]
    first = wishes.of(key)
    assert wishes.of(key) is first
    known.with_organisation(Organisation("org_test", "test", start_within="flex"))
    assert wishes.of(key).wish == "flex"
    named = wishes.with_preset(key, "night")
    assert wishes.with_preset(key, "night") is named
    known.with_preset("night", start_within="9s")
    assert wishes.with_preset(key, "night").wish == Window(9.0)
    known.put_key(msgspec.structs.replace(key, start_within="8s"))
    assert wishes.of(known.keys()[0]).wish == Window(8.0)
