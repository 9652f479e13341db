"""What the provider answers is what the client gets: byte for byte, and the same value where it was assembled.

The same request goes to the provider directly and through Startline; the simulator answers both alike.
"""

from typing import Any

import httpx
import pytest

from tests.end_to_end.asking import RESPONSES_TOOLS, TOOLS, chat, response
from tests.end_to_end.records import check
from tests.end_to_end.stage import PROVIDER_SECRET, Json, Stage, Told

pytestmark = pytest.mark.sockets

USAGE: Json = {"stream_options": {"include_usage": True}}
PLAN: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "array", "items": {"type": "integer"}}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
CHATS: dict[str, tuple[str, Json]] = {
    "words": ("", {}),
    "tools": ("tool_calls=2", {"tools": TOOLS, "tool_choice": "required"}),
    "choices": ("", {"n": 3, "logprobs": True, "top_logprobs": 2}),
    "declined": ("decline", {}),
    "cut short": ("tokens=30", {"max_completion_tokens": 4}),
    "schema": ("", {"response_format": {"type": "json_schema", "json_schema": {"name": "plan", "schema": PLAN}}}),
    "reasoning": ("reasoning_field=reasoning_content", {}),
    "padded": ("obfuscation=true,fragment_bytes=7", {}),
}
RESPONSES: dict[str, tuple[str, Json]] = {
    "words": ("", {}),
    "tools": ("tool_calls=2", {"tools": RESPONSES_TOOLS, "tool_choice": "required"}),
    "reasoning": ("", {"reasoning": {"summary": "auto"}}),
    "declined": ("decline", {}),
    "cut short": ("tokens=30", {"max_output_tokens": 4}),
    "padded": ("obfuscation=true,fragment_bytes=7", {}),
}
CASES = [("chat", name) for name in CHATS] + [("responses", name) for name in RESPONSES]
cases = pytest.mark.parametrize(("api", "name"), CASES, ids=[f"{api}, {name}" for api, name in CASES])


def asking(api: str, name: str, mark: str) -> Json:
    sim, more = (CHATS if api == "chat" else RESPONSES)[name]
    return (chat if api == "chat" else response)("say it → 🙂", mark, sim, **more)


def sent(base_url: str, key: str, api: str, body: Json) -> httpx.Response:
    answer = httpx.post(
        f"{base_url}/{'chat/completions' if api == 'chat' else 'responses'}",
        json=body,
        headers={"authorization": f"Bearer {key}"},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    return answer


def check_second(stage: Stage, mark: str) -> Told:
    """Check the record of what went through Startline; the provider saw the same request directly before."""
    (told,) = stage.take()
    check(told, stage.served(mark)[1:])
    return told


def directly(stage: Stage, api: str, body: Json) -> httpx.Response:
    return sent(stage.provider_url, PROVIDER_SECRET, api, body)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@cases
def test_byte_for_byte(stage: Stage, api: str, name: str, streamed: bool) -> None:
    mark = stage.mark()
    more: Json = {"stream": True} | (USAGE if api == "chat" else {}) if streamed else {}
    direct = directly(stage, api, asking(api, name, mark) | more | {"service_tier": "default"})
    through = sent(f"{stage.url}/v1", stage.key, api, asking(api, name, mark) | more)
    assert through.content == direct.content
    assert through.headers["content-type"] == direct.headers["content-type"]
    check_second(stage, mark)


@cases
def test_the_same_value_when_it_was_assembled_from_a_race(stage: Stage, api: str, name: str) -> None:
    mark = stage.mark()
    direct: Any = directly(stage, api, asking(api, name, mark) | {"service_tier": "flex"}).json()
    through = sent(f"{stage.url}/v1", stage.key, api, asking(api, name, mark) | {"start_within": "3s"})
    assert through.json() == direct
    assert check_second(stage, mark).request["reason"] == "flex_won"
    assert stage.served(mark)[1]["streamed"]


@cases
def test_a_stream_that_won_a_race_byte_for_byte(stage: Stage, api: str, name: str) -> None:
    mark = stage.mark()
    more: Json = {"stream": True} | (USAGE if api == "chat" else {})
    direct = directly(stage, api, asking(api, name, mark) | more | {"service_tier": "flex"})
    through = sent(f"{stage.url}/v1", stage.key, api, asking(api, name, mark) | more | {"start_within": "3s"})
    assert through.content == direct.content
    check_second(stage, mark)
