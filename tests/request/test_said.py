"""Each of start_within, start_target, finish_within and ladder is taken from the first place that says it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import CallerFault
from appliance.domain.ladder import Step
from appliance.domain.tier import DEFAULT_TARGET, StartWithin, Window
from appliance.request.said import Said, resolve, said_by
from appliance.wire import anthropic_messages, gemini_generate, gemini_interactions, openai_chat, openai_responses
from appliance.wire.body import RequestBody

LONGEST_S = 900.0
CHEAP, DEAR = (Step("a", "m", "flex"),), (Step("b", "n"),)
LOCAL = (Step("local", "l"),)

W30, W10 = Window(30.0), Window(10.0)


@pytest.mark.parametrize(
    ("said", "wish", "ladder"),
    [
        # nothing at all, and one thing alone
        ((Said(),), "default", None),
        ((Said(start="flex"),), "flex", None),
        ((Said(start=W30),), Window(30.0, DEFAULT_TARGET, None), None),
        ((Said(finish_s=60.0),), Window(60.0, DEFAULT_TARGET, 60.0), None),
        ((Said(finish_s=3000.0),), Window(900.0, DEFAULT_TARGET, 3000.0), None),
        ((Said(ladder=CHEAP),), "default", CHEAP),
        ((Said(target=0.9),), "default", None),
        # each by itself, the nearest first
        ((Said(start=W10), Said(start=W30)), Window(10.0), None),
        ((Said(target=0.9), Said(start=W30, target=0.999)), Window(30.0, 0.9), None),
        ((Said(start=W30), Said(target=0.999), Said(target=0.9)), Window(30.0, 0.999), None),
        ((Said(start=W30), Said(finish_s=60.0), Said(ladder=DEAR)), Window(30.0, DEFAULT_TARGET, 60.0), DEAR),
        ((Said(finish_s=90.0), Said(finish_s=60.0), Said(start=W30)), Window(30.0, DEFAULT_TARGET, 90.0), None),
        ((Said(ladder=CHEAP), Said(ladder=DEAR), Said(start=W10)), Window(10.0), CHEAP),
        # nobody starts later than the end
        ((Said(finish_s=20.0), Said(start=W30)), Window(20.0, DEFAULT_TARGET, 20.0), None),
        # a tier word has no deadline, and no ladder that was said farther away
        ((Said(start="default"), Said(start=W30)), "default", None),
        ((Said(start="priority"), Said(finish_s=60.0)), "priority", None),
        ((Said(finish_s=60.0), Said(start="default")), Window(60.0, DEFAULT_TARGET, 60.0), None),
        ((Said(start="default", finish_s=60.0),), "default", None),
        ((Said(start="flex"), Said(ladder=CHEAP)), "flex", None),
        ((Said(ladder=CHEAP), Said(start="default")), "default", CHEAP),
        ((Said(start="default", ladder=CHEAP),), "default", CHEAP),
        ((Said(start=W10), Said(start="default", ladder=CHEAP)), Window(10.0), CHEAP),
    ],
)
def test_what_holds(said: tuple[Said, ...], wish: StartWithin, ladder: tuple[Step, ...] | None) -> None:
    assert resolve(said, LONGEST_S) == (wish, ladder)


PLACE = st.builds(
    Said,
    st.sampled_from([None, "flex", "default", W10, W30]),
    st.sampled_from([None, 0.9, 0.999]),
    st.sampled_from([None, 20.0, 60.0]),
    st.sampled_from([None, CHEAP, DEAR, LOCAL]),
)


@given(st.lists(PLACE, min_size=1, max_size=5).map(tuple))
def test_a_place_that_says_nothing_changes_nothing(said: tuple[Said, ...]) -> None:
    found = resolve(said, LONGEST_S)
    for at in range(len(said) + 1):
        assert resolve((*said[:at], Said(), *said[at:]), LONGEST_S) == found
    if isinstance(found[0], Window):
        assert found[0].finish_s is None or found[0].seconds <= found[0].finish_s


FIELDS = {"start_within": "30s", "start_target": "99.9%", "finish_within": 90, "ladder": ["a/m:flex", "b/n"]}
WANTED = Said(W30, 0.999, 90.0, (Step("a", "m", "flex"), Step("b", "n")))

DIALECTS: list[tuple[Any, dict[str, Any], str]] = [
    (openai_chat, {"model": "m", "messages": []}, ""),
    (openai_responses, {"model": "m", "input": "x"}, ""),
    (anthropic_messages, {"model": "m", "max_tokens": 9, "messages": []}, ""),
    (gemini_generate, {"contents": []}, "m:generateContent"),
    (gemini_interactions, {"model": "m", "input": "x"}, ""),
]


@pytest.mark.parametrize(("dialect", "body", "argument"), DIALECTS, ids=[row[0].NAME for row in DIALECTS])
def test_every_dialect_says_it_and_sends_none_of_it_on(dialect: Any, body: dict[str, Any], argument: str) -> None:
    whole = RequestBody.decode(msgspec.json.encode(body | FIELDS | {"preset": "night"}))
    asked = dialect.read_request(whole, None, argument)
    assert said_by(asked, lambda _: None) == WANTED
    assert asked.options.preset == "night"
    sent = msgspec.json.decode(dialect.upstream_body(asked, model="m", tier=None, stream=False, add_usage=False))
    assert sent == body
    headers = {b"x-start-target": b"99.9%", b"x-finish-within": b"90s"}
    plain = dialect.read_request(RequestBody.decode(msgspec.json.encode(body)), b"30s", argument)
    assert said_by(plain, headers.get) == msgspec.structs.replace(WANTED, ladder=None)


def test_the_body_goes_before_the_headers() -> None:
    body = {"model": "m", "start_target": 0.9, "finish_within": "20s"}
    asked = openai_chat.read_request(RequestBody.decode(msgspec.json.encode(body)), None)
    said = said_by(asked, {b"x-start-target": b"0.99", b"x-finish-within": b"90"}.get)
    assert (said.target, said.finish_s) == (0.9, 20.0)


@pytest.mark.parametrize(
    ("fields", "headers", "code"),
    [
        ({"start_target": 2}, {}, "invalid_start_target"),
        ({}, {b"x-start-target": b"sure"}, "invalid_start_target"),
        ({"finish_within": "soon"}, {}, "invalid_finish_within"),
        ({"finish_within": "flex"}, {}, "invalid_finish_within"),
        ({}, {b"x-finish-within": b"later"}, "invalid_finish_within"),
        ({"start_within": "default", "finish_within": 60}, {}, "invalid_finish_within"),
        ({"ladder": "a/m"}, {}, "invalid_ladder"),
        ({"ladder": []}, {}, "invalid_ladder"),
        ({"ladder": ["a/m", "m"]}, {}, "invalid_ladder"),
        ({"ladder": ["a/m"], "start_within": "flex"}, {}, "invalid_ladder"),
        ({"preset": 3}, {}, "bad_request"),
        ({"Ladder": ["a/m"]}, {}, "bad_request"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], headers: dict[bytes, bytes], code: str) -> None:
    with pytest.raises(CallerFault) as caught:
        said_by(
            openai_chat.read_request(RequestBody.decode(msgspec.json.encode({"model": "m"} | fields)), None),
            headers.get,
        )
    assert caught.value.code == code
