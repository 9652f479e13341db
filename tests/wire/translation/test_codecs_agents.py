"""Requests as agents send them, on their way to a provider of another dialect: nothing refused, and each loss told."""

from typing import Any

import msgspec

from appliance.wire.translation.codec import Target
from appliance.wire.translation.codecs import CODECS

CHAT, MESSAGES = CODECS["openai_chat"], CODECS["anthropic_messages"]
MARK = {"cache_control": {"type": "ephemeral"}}
SCHEMA = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"command": {}}}

# After captures of Claude Code 2.1: attribution first, reminders in the middle, adaptive thinking, breakpoints.
CLAUDE_CODE = {
    "model": "claude-opus-5-5",
    "messages": [
        {
            "role": "user",
            "content": [{"type": "text", "text": "<reminder>"}, {"type": "text", "text": "fix it"} | MARK],
        },
        {"role": "system", "content": "The mode is: plan."},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "", "signature": "EqQB"},
                {"type": "text", "text": "I look."},
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "Bash",
                    "input": {"command": "ls"},
                    "caller": {"type": "direct"},
                },
                {"type": "tool_use", "id": "toolu_2", "name": "Read", "input": {"path": "/x"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.py", "is_error": False},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": [{"type": "text", "text": "…"} | MARK]},
                {"type": "text", "text": "go on"},
            ],
        },
    ],
    "system": [{"type": "text", "text": "x-attribution: cc_version=2.1"}, {"type": "text", "text": "You are…"} | MARK],
    "tools": [
        {"name": "Bash", "description": "Runs", "input_schema": SCHEMA, "eager_input_streaming": True},
        {"name": "Read", "description": "Reads", "input_schema": SCHEMA, "defer_loading": False} | MARK,
    ],
    "metadata": {"user_id": "user_1_account__session_2"},
    "max_tokens": 32_000,
    "thinking": {"type": "adaptive"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "medium"},
    "stream": True,
}

# After the official SDK's agents and its helpers: parsed messages given back, strict tools, usage asked for.
OPENAI_AGENT = {
    "model": "gpt-6-sol",
    "messages": [
        {"role": "developer", "content": "You are…"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is it?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "auto"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "annotations": [],
            "audio": None,
            "function_call": None,
            "parsed": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"a": 1}', "parsed_arguments": {"a": 1}},
                },
                {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "one", "name": "f"},
        {"role": "tool", "tool_call_id": "call_2", "content": ""},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}}
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "response_format": {"type": "json_schema", "json_schema": {"name": "out", "strict": True, "schema": SCHEMA}},
    "reasoning_effort": "minimal",
    "max_completion_tokens": 4000,
    "prompt_cache_key": "thread_1",
    "safety_identifier": "u1",
    "verbosity": "low",
    "store": False,
    "metadata": {"thread": "1"},
    "n": 1,
    "stream": True,
    "stream_options": {"include_usage": True},
}


def translated(codec: Any, body: Any, to: Any, home: str) -> tuple[Any, tuple[str, ...]]:
    asked = codec.read_request(msgspec.json.encode(body))
    written = to.write_request(asked, Target(model="m", home=home, stream=asked.stream))
    return msgspec.json.decode(written.body), written.dropped


def test_claude_code_reaches_a_chat_provider() -> None:
    body, dropped = translated(MESSAGES, CLAUDE_CODE, CHAT, "openai")
    assert [message["role"] for message in body["messages"]] == [
        "system", "user", "system", "assistant", "tool", "tool", "user",
    ]  # fmt: skip
    assert body["messages"][0]["content"][0]["text"].startswith("x-attribution")
    assert [(call["id"], call["function"]["arguments"]) for call in body["messages"][3]["tool_calls"]] == [
        ("toolu_1", '{"command":"ls"}'),
        ("toolu_2", '{"path":"/x"}'),
    ]
    assert [tool["function"]["parameters"] for tool in body["tools"]] == [SCHEMA, SCHEMA]
    assert (body["reasoning_effort"], body["max_completion_tokens"], body["stream"]) == ("medium", 32_000, True)
    assert set(dropped) == {
        "anthropic_messages.caller", "anthropic_messages.context_management",
        "anthropic_messages.tools[].eager_input_streaming", "cache", "reasoning.seal", "tool_result.is_error",
    }  # fmt: skip


def test_an_openai_agent_reaches_anthropic() -> None:
    body, dropped = translated(CHAT, OPENAI_AGENT, MESSAGES, "anthropic")
    assert body["system"] == "You are…"
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert [block["input"] for block in body["messages"][1]["content"]] == [{"a": 1}, {}]
    assert [block["content"] for block in body["messages"][2]["content"]] == ["one", ""]
    assert (body["tools"][0]["strict"], body["thinking"]) == (True, {"type": "adaptive"})
    assert body["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}}
    assert set(dropped) == {
        "n=1", "openai_chat.messages[].name", "metadata", "cache_key", "verbosity", "store=false", "role=developer",
        "image.detail", "thinking.effort=minimal", "output.name", "output.strict", "openai_chat.messages[].parsed",
    }  # fmt: skip
