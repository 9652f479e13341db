"""What a ladder is compared with, and what of it may be recorded."""

from collections.abc import Callable

import pytest
from trio.testing import MockClock

from appliance.domain.ladder import parse_ladder
from appliance.request.admit import Admitted
from appliance.request.choice import Choice, Chooser
from appliance.request.work import Work
from appliance.wire import openai_chat
from appliance.wire.body import RequestBody
from tests.request.stage import MODEL, Stage, prices

Make = Callable[..., Stage]


def chosen(s: Stage, *texts: str) -> tuple[Chooser, tuple[Choice, ...]]:
    call, _ = s.prepare({})
    work = Work(call)
    chooser = Chooser(prices(), s.settings)
    asked = openai_chat.read_request(RequestBody.decode(call.body), None)
    routing = s.gateway.planner.routing("org_test")
    return chooser, chooser.steps(routing, work, Admitted(asked, "default", None), parse_ladder(texts))


@pytest.mark.parametrize(
    ("texts", "reference"),
    [
        ((f"sim/{MODEL}:flex", f"sim/{MODEL}", f"sim/{MODEL}:priority"), ("openai", MODEL, "default")),
        ((f"sim/{MODEL}:flex", "other/x:flex", "other/x"), ("other", "x", "default")),
        ((f"sim/{MODEL}:flex",), ("openai", MODEL, "flex")),
        (("bare/llama", f"sim/{MODEL}"), ("openai", MODEL, "default")),
        (("bare/llama", "other/x"), ("bare", "llama", None)),
    ],
)
async def test_a_ladder_is_compared_with_its_first_step_that_is_not_cheap_and_has_a_price(
    clock: MockClock, stage: Make, texts: tuple[str, ...], reference: tuple[str, str, str | None]
) -> None:
    s = stage()
    s.directory.with_provider("other", tiers=("flex", "default")).with_provider("bare", tiers=())
    chooser, choices = chosen(s, *texts)
    assert chooser.on_ladder(choices, strange=False, asked_listed=True).reference == reference


async def test_only_what_a_stranger_wrote_and_nobody_lists_is_unlisted(clock: MockClock, stage: Make) -> None:
    s = stage()
    s.directory.with_provider("other", tiers=("default",))
    chooser, choices = chosen(s, f"sim/{MODEL}", "other/my-secret", "other/gpt-4o")
    assert chooser.on_ladder(choices, strange=False, asked_listed=True).unlisted == frozenset()
    unlisted = chooser.on_ladder(choices, strange=True, asked_listed=True).unlisted
    assert ("other", "my-secret") in unlisted and ("sim", MODEL) not in unlisted
