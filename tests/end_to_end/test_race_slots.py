"""Beyond its race slots an organisation is served by default at once, and told so."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from tests.end_to_end.asking import chat
from tests.end_to_end.processes import until
from tests.end_to_end.stage import Stage, staged

pytestmark = pytest.mark.sockets


@pytest.fixture
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("slots"), STARTLINE_RACE_SLOTS="1") as stage:
        yield stage


def test_the_race_too_many_is_served_by_default_at_once(narrow: Stage) -> None:
    first, second = narrow.mark(), narrow.mark()
    window: Any = {"start_within": "4s"}

    def ask(client: openai.OpenAI, mark: str, sim: str) -> str:
        raw = client.chat.completions.with_raw_response.create(**chat("race", mark, sim, extra_body=window))
        return str(raw.headers["x-startline-reason"])

    with narrow.client() as client, ThreadPoolExecutor(1) as elsewhere:
        slow = elsewhere.submit(ask, client, first, "flex.start=30")
        until(lambda: [it for it in narrow.journal()["entries"] if it["mark"] == first] or None, "race at the provider")
        assert ask(client, second, "") == "flex_slots_full"
        assert slow.result(30) == "flex_deadline"
    [entry] = narrow.served(second)
    assert entry["tier_asked"] == "default"
    by_reason = {told.request["reason"]: told for told in narrow.take(2)}
    assert len(by_reason["flex_slots_full"].attempts) == 1
    assert by_reason["flex_slots_full"].request["deadline_met"] is True
