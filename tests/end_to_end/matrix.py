"""Who speaks to whom, and what works: the matrix as data. `python -m tests.end_to_end.matrix` writes docs/matrix.md."""

from typing import Final

import msgspec


class Row(msgspec.Struct, frozen=True):
    """A provider of the matrix; `sim` is what its simulator always does."""

    about: str
    kind: str
    path: str
    price_as: str
    tiers: str
    model: str
    sim: str = ""


PROVIDERS: Final = {
    "m-openai": Row("OpenAI", "openai", "/v1", "openai", "flex,default,priority", "gpt-5.4-mini"),
    "m-compatible": Row(
        "compatible with OpenAI's chat",
        "openai_compatible",
        "/v1",
        "openai",
        "flex,default,priority",
        "gpt-5.4-mini",
        "reasoning_field=reasoning_content",
    ),
    "m-claude": Row("Anthropic", "anthropic", "/v1", "anthropic", "standard_only,auto", "claude-sonnet-5"),
    "m-gemini": Row("Gemini", "gemini", "/v1beta", "google", "flex,standard,priority", "gemini-3.5-flash"),
}
SPEAKERS: Final = (
    "openai chat",
    "openai responses",
    "anthropic messages",
    "gemini generateContent",
    "gemini interactions",
)
NODE_SPEAKERS: Final = {
    "openai chat (Node)": "openai",
    "openai responses (Node)": "openai",
    "anthropic messages (Node)": "anthropic",
    "gemini generateContent (Node)": "google",
    "gemini interactions (Node)": "google",
    "openai chat (ai)": "ai",
    "openai responses (ai)": "ai",
    "anthropic messages (ai)": "ai",
    "gemini generateContent (ai)": "ai",
}
"""The clients for Node, and which driver of node/ plays them."""
FEATURES: Final = (
    "plain",
    "stream",
    "tools",
    "parallel tools",
    "image",
    "structured output",
    "reasoning",
    "errors",
    "cancellation",
)
_ONE_CALL: Final = (
    "`parallel_tool_calls`: the package asks for one call of a tool that takes the answer, and Gemini cannot be told "
    'to make no second; with `structuredOutputMode: "outputFormat"` it works'
)
WITHOUT: Final[dict[tuple[str, str, str], str]] = {
    ("anthropic messages (ai)", "m-gemini", "structured output"): _ONE_CALL
}
"""Cells that do not work, with the reason."""

_HEAD: Final = """# Every dialect to every provider

What an application does, through the official SDK of its dialect, before each family of providers, as the \
end-to-end tests do it against the simulator: with the SDKs for Python, with those for Node (`openai`, \
`@anthropic-ai/sdk`, `@google/genai`: *Node*) and with Vercel's `ai` and its packages of the three providers (*ai*). \
Where client and provider agree the bytes pass untouched; elsewhere they are [translated](translation.md). *yes*: it \
works; else the reason why not, and then the request is refused.

*Tools* are two calls in two turns, streamed and whole, and a last turn with all of it behind it (for Node also the \
loop that the SDK itself has); in *reasoning* the same with thoughts, which go back with their signatures; *errors* \
keep status and message, before and within a stream; in *cancellation* the provider sees the client leave. In each \
cell tokens and ids are recorded as the provider told them.

"""


def cell(speaker: str, provider: str, feature: str) -> str:
    """What the matrix says of this cell."""
    return WITHOUT.get((speaker, provider, feature), "yes")


def document() -> str:
    """docs/matrix.md."""
    lines = ["| client | provider | " + " | ".join(FEATURES) + " |", "|" + "---|" * (len(FEATURES) + 2)]
    for speaker in (*SPEAKERS, *NODE_SPEAKERS):
        for provider, row in PROVIDERS.items():
            cells = [cell(speaker, provider, feature) for feature in FEATURES]
            lines.append(f"| {speaker} | {row.about} | " + " | ".join(cells) + " |")
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(document(), end="")
