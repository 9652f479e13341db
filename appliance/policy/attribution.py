"""Which coding agent asks, and for which of its sessions. The rule: of what a stranger writes only what can be no text.

Claude Code, Codex and Gemini CLI are known by the first word of their user agent. Sessions and agents are kept if they
look like the identifiers that these programs make (hexadecimal digits and dashes), agents also by the few names that
Codex gives to its own; anything else could be anything, and is not kept. Sources: the programs' documentation and
captures of their requests.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

Get = Callable[[bytes], bytes | None]
"""The value of a header by its lower-case name, or None."""

CLIENTS = {
    b"claude-cli": "claude_code",
    b"codex_cli_rs": "codex",
    b"codex_exec": "codex",
    b"codex-tui": "codex",
    b"codex_vscode": "codex",
    b"GeminiCLI": "gemini_cli",
}
SESSION_HEADERS = (b"x-claude-code-session-id", b"session-id", b"session_id")
AGENT_HEADERS = (b"x-claude-code-agent-id", b"x-openai-subagent")
AGENT_NAMES = frozenset({b"review", b"compact", b"memory_consolidation", b"collab_spawn"})

_IDENTIFIER = re.compile(rb"[0-9a-fA-F-]{8,64}")


class Attribution(NamedTuple):
    """The client as a word of ours, its session and its agent; each None where it is not told."""

    client: str | None
    session: str | None
    agent: str | None


NOBODY = Attribution(None, None, None)


def attribution(get: Get) -> Attribution:
    """Who asks, by the headers of a request. An ordinary client costs one look at its user agent."""
    client = CLIENTS.get((get(b"user-agent") or b"").partition(b"/")[0])
    if client is None:
        return NOBODY
    return Attribution(client, _first(get, SESSION_HEADERS), _first(get, AGENT_HEADERS))


def _first(get: Get, names: tuple[bytes, ...]) -> str | None:
    told = next((value for name in names if (value := get(name)) is not None), None)
    if told is None or not (told in AGENT_NAMES or _IDENTIFIER.fullmatch(told)):
        return None
    return told.decode("ascii")
