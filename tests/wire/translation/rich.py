"""Conversations with everything that some dialect can say, for hypothesis: to find what is lost without a word.

Most fields are absent in most examples, so that many a request can be said in full.
"""

from typing import Any

import msgspec
from hypothesis import strategies as st

from appliance.domain.chat import (
    Cache,
    Citation,
    Conversation,
    CustomTool,
    File,
    Image,
    Inline,
    OutputFormat,
    PlainText,
    Reasoning,
    Refusal,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Uploaded,
    Url,
    WebSearch,
)
from tests.wire.translation.strategies import ARGUMENTS, CALL_IDS, NAMES, SCHEMAS, WORDS


def rarely(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.none(), st.none(), value)


CACHES = rarely(st.builds(Cache, st.sampled_from([None, 300, 3600])))
EMPTY = st.just("")
TEXTS = st.builds(
    Text,
    WORDS | WORDS | WORDS | EMPTY,
    CACHES,
    st.one_of(st.just(()), st.just(()), st.just((Citation("https://e.org", "t", "q"),))),
)
PLAIN = st.builds(Text, WORDS)
HOMES = st.sampled_from(["openai", "anthropic", "gemini"])
IMAGES = st.builds(
    Image,
    st.one_of(
        st.builds(Inline, st.just("image/png"), st.just("AAAA")),
        st.builds(Url, st.just("https://e.org/a.png")),
        st.builds(Uploaded, HOMES, st.just("file-1")),
    ),
    rarely(st.sampled_from(["low", "high"])),
    CACHES,
)
FILES = st.builds(
    File,
    st.one_of(
        st.just(Inline("application/pdf", "JVBE")),
        st.just(Inline("text/plain", "aGk=")),
        st.just(Url("https://e.org/a.pdf")),
        st.builds(PlainText, WORDS),
        st.builds(Uploaded, HOMES, st.just("file-1")),
    ),
    rarely(WORDS),
    rarely(WORDS),
    rarely(st.booleans()),
    CACHES,
)
SEALS = st.one_of(
    st.builds(Seal, HOMES, WORDS),
    st.builds(Seal, HOMES, WORDS, st.just("redacted")),
    st.builds(Seal, HOMES, WORDS, st.just("encrypted"), st.just("rs_1")),
)
REASONING = st.builds(Reasoning, WORDS | EMPTY, st.none() | SEALS)
CALLS = st.builds(ToolCall, CALL_IDS, NAMES, ARGUMENTS | ARGUMENTS | EMPTY, rarely(st.just(True)).map(bool), CACHES)
RESULTS = st.builds(
    ToolResult,
    CALL_IDS,
    st.lists(st.one_of(TEXTS, TEXTS, IMAGES, FILES), max_size=2).map(tuple),
    rarely(st.booleans()),
    st.just(False),
    CACHES,
)
SAID = st.one_of(PLAIN, TEXTS, REASONING, CALLS, rarely(st.builds(Refusal, WORDS)).filter(bool))


def turn(role: Any, parts: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Turn]:
    return st.builds(Turn, st.just(role), st.lists(parts, min_size=1, max_size=most).map(tuple), rarely(NAMES))


TURNS = st.one_of(
    turn("user", st.one_of(PLAIN, TEXTS, IMAGES, FILES)),
    turn("assistant", SAID, 4),
    turn("system", TEXTS, 2),
    turn("developer", TEXTS, 1),
    st.builds(Turn, st.just("tool"), st.lists(RESULTS, min_size=1, max_size=2).map(tuple)),
)
TOOLS = st.one_of(
    st.builds(Tool, NAMES, rarely(WORDS), SCHEMAS, rarely(st.booleans()), CACHES),
    st.builds(Tool, NAMES, rarely(WORDS), SCHEMAS, rarely(st.booleans()), CACHES),
    st.builds(CustomTool, NAMES, rarely(WORDS)),
    st.builds(WebSearch, rarely(st.just("low")), rarely(st.just(("e.org",))), st.none(), rarely(st.just(3)),
      rarely(st.just({"city": "Ulm"}))),
)  # fmt: skip
EFFORTS = st.sampled_from(["minimal", "low", "medium", "high", "xhigh", "max"])
THINKING = st.one_of(
    st.builds(Thinking, st.just(True), st.none() | EFFORTS, st.none(), rarely(st.sampled_from(["summary", "omitted"]))),
    st.just(Thinking(on=False)),
    st.builds(Thinking, st.none(), EFFORTS),
    st.builds(Thinking, st.none(), st.none(), st.integers(1024, 60_000)),
)
CHOICES = st.one_of(
    st.builds(ToolChoice, st.sampled_from(["none", "auto", "required"])),
    st.builds(ToolChoice, st.sampled_from(["named", "allowed", "allowed_required"]), NAMES.map(lambda name: (name,))),
)
OUTPUTS = st.one_of(
    st.builds(OutputFormat, st.sampled_from(["text", "json_object"])),
    st.builds(OutputFormat, st.just("json_schema"), SCHEMAS, rarely(NAMES), rarely(WORDS), rarely(st.booleans())),
)

CONVERSATIONS = st.builds(
    Conversation,
    dialect=st.just("openai_chat"),
    model=st.just("m"),
    turns=st.lists(TURNS, max_size=3).map(tuple),
    tools=st.lists(TOOLS, max_size=2).map(tuple),
    tool_choice=rarely(CHOICES),
    parallel_tool_calls=rarely(st.booleans()),
    output=rarely(OUTPUTS),
    thinking=rarely(THINKING),
    verbosity=rarely(st.just("low")),
    max_output_tokens=st.integers(1, 100_000),
    temperature=rarely(st.sampled_from([0.0, 1.0, 1.5])),
    top_p=rarely(st.just(0.5)),
    top_k=rarely(st.just(4)),
    frequency_penalty=rarely(st.sampled_from([0.0, 0.5])),
    presence_penalty=rarely(st.sampled_from([0.0, 0.5])),
    seed=rarely(st.just(1)),
    n=rarely(st.sampled_from([1, 2])),
    stop=st.one_of(st.just(()), st.just(("END",))),
    logprobs=rarely(st.booleans()),
    top_logprobs=rarely(st.sampled_from([0, 2])),
    user=rarely(NAMES),
    metadata=rarely(st.just(msgspec.Raw(b'{"b":"1","a":"2"}'))),
    cache_key=rarely(NAMES),
    cache=CACHES,
    store=rarely(st.booleans()),
)
