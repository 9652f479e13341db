import pytest

from appliance.policy.attribution import NOBODY, Attribution, attribution

SESSION = b"0199a213-81c0-7800-8aa1-bbab2a035a53"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, NOBODY),
        ({b"user-agent": b"OpenAI/Python 2.0", b"session-id": SESSION}, NOBODY),
        ({b"user-agent": b"GeminiCLI/0.61.0/gemini-3.8-flash (linux)"}, Attribution("gemini_cli", None, None)),
        (
            {b"user-agent": b"claude-cli/2.1.197 (external, cli)", b"x-claude-code-session-id": SESSION},
            Attribution("claude_code", SESSION.decode(), None),
        ),
        (
            {b"user-agent": b"codex_cli_rs/0.135", b"session_id": SESSION, b"x-openai-subagent": b"review"},
            Attribution("codex", SESSION.decode(), "review"),
        ),
    ],
)
def test_who_asks(headers: dict[bytes, bytes], expected: Attribution) -> None:
    assert attribution(headers.get) == expected


@pytest.mark.parametrize(
    "odd", [b"", b"short", b"a" * 65, b"sk-sl-key", b"my secret project", b"\xff" * 20, b"x\r\ny: z"]
)
def test_free_text_is_not_kept(odd: bytes) -> None:
    headers = {b"user-agent": b"claude-cli/2", b"x-claude-code-session-id": odd, b"x-claude-code-agent-id": odd}
    assert attribution(headers.get) == Attribution("claude_code", None, None)
