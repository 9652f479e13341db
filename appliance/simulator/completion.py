"""The answer itself, before any dialect: what was asked, what is answered, how many tokens that is.

Rule: a completion is a function of the seed and the request's body without its stream fields, so that the streamed
and the unstreamed form of one request carry the same answer and the same ids. The words do not depend on the tier;
the ids do, so that two attempts of one race can be told apart.
"""

import hashlib
import math
import re
from random import Random
from typing import Any, Final

import msgspec

from appliance.simulator.override import METADATA_FIELDS, METADATA_KEY, Override
from appliance.simulator.schema import Fitter
from appliance.simulator.world import MAX_OUTPUT_TOKENS, Behaviour, draw

_TIER_FIELDS: Final = ("service_tier", "serviceTier")
_MEDIA_TOKENS: Final = 258  # of one image or document (Gemini's figure for a small image)
_THOUGHTS: Final = 12  # tokens of reasoning where the request asks for it and the world has no number
_EPOCH: Final = 1_790_000_000  # answers are dated from here, by their digest: the same request, the same date
_TOKEN: Final = re.compile(r"\s*\S{1,16}|\s+")
_WORDS: Final = tuple(  # words are easier to read as a sentence
    "the tier queue answers when capacity frees up and a patient caller pays less for it while another one who cannot "
    "wait pays more both read same words from model which took time it needed to begin then went on steadily until "
    'nothing was left to say café naïve → 東京 🙂 "quoted" back\\slash'.split()
)


class Tool(msgspec.Struct, frozen=True):
    """A function tool that the request offers: its name and the JSON schema of its arguments."""

    name: str
    parameters: object


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request as both dialects understand it."""

    body: dict[str, Any]
    model: str
    prompt: tuple[str, ...]  # every text of the input, in order
    media: int = 0  # images and documents of the input, where they are not counted as text
    last_user_text: str
    after_tool: bool  # the last item is a tool's result: the answer should be words
    max_tokens: int | None
    choices: int = 1
    tools: tuple[Tool, ...] = ()
    tool_forced: bool = False
    parallel_tools: bool = True
    schema: object = None  # of the structured output
    json_mode: bool = False
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None  # None: no logprobs wanted
    reasoning: bool | None = None  # asked for or ruled out by the request; None: as the world says
    wants_summary: bool = False  # of the reasoning
    stream: bool = False
    stream_type: str = "text/event-stream; charset=utf-8"
    include_usage: bool = False
    include_obfuscation: bool = True
    keep: bool = False  # remember the answer, to be asked for again
    background: bool = False  # answer at once that it is in progress
    previous: str = ""  # the kept answer that this one goes on from


class ToolCall(msgspec.Struct, frozen=True):
    """One call: its ids, the function's name, and the JSON arguments in the fragments in which they stream."""

    id: str
    item_id: str
    name: str
    fragments: tuple[str, ...]

    @property
    def arguments(self) -> str:
        """The arguments in one piece."""
        return "".join(self.fragments)


class Choice(msgspec.Struct, frozen=True):
    """One alternative answer: text or the model's refusal in tokens, or tool calls."""

    pieces: tuple[str, ...]
    declined: bool
    tool_calls: tuple[ToolCall, ...]
    cut_short: bool  # by the token limit
    stopped_by: str = ""  # the stop sequence that ended the text

    @property
    def text(self) -> str:
        """The text in one piece."""
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        """How many tokens this choice is."""
        return len(self.pieces) + sum(len(call.fragments) for call in self.tool_calls)


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer: ids, date, choices, reasoning, usage."""

    id: str  # without a prefix
    created: int
    choices: tuple[Choice, ...]
    reasoning: tuple[str, ...]
    reasoning_tokens: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int  # reasoning included


def digest(seed: int, body: dict[str, Any], tier: str = "") -> bytes:
    """SHA-256 of the seed, the tier, and the request without what differs between its streamed and plain form."""
    kept = {key: value for key, value in body.items() if key not in ("stream", "stream_options", "alt", *_TIER_FIELDS)}
    for field in METADATA_FIELDS:
        if isinstance(kept.get(field), dict):
            kept[field] = {key: value for key, value in kept[field].items() if key != METADATA_KEY}
            if not kept[field]:
                del kept[field]
    canonical = msgspec.json.encode(kept, order="deterministic")
    return hashlib.sha256(f"{seed}\0{tier}\0".encode() + canonical).digest()


def tokenize(text: str) -> tuple[str, ...]:
    """The text in pieces that play tokens; joined they are the text."""
    return tuple(_TOKEN.findall(text))


def texts(value: object) -> tuple[str, ...]:
    """Every string value in a JSON value, in order (keys are not counted); without recursion."""
    found: list[str] = []
    todo: list[object] = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            found.append(node)
        elif isinstance(node, dict):
            todo.extend(reversed(list(node.values())))
        elif isinstance(node, list):
            todo.extend(reversed(node))
    return tuple(found)


def input_tokens(asked: Asked) -> int:
    """How many tokens the input is: a quarter of its characters, and so many for each image or document."""
    return max(1, sum(math.ceil(len(text) / 4) for text in asked.prompt) + asked.media * _MEDIA_TOKENS)


def complete(
    asked: Asked, behaviour: Behaviour, override: Override, *, seed: int, tier: str, ordinal: int
) -> Completion:
    """The answer to a request; `tier` is the one asked for, `ordinal` counts the requests to it."""
    rng = Random(digest(seed, asked.body))
    ids = digest(seed, asked.body, tier).hex()
    if override.id:
        ids = hashlib.sha256(override.id.encode()).hexdigest()
    identity = override.id or ids[:24]
    length = max(1, min(MAX_OUTPUT_TOKENS // asked.choices, round(draw(behaviour.output_tokens, rng, ordinal))))
    choices = tuple(_choice(asked, behaviour, rng, length, f"{ids[:16]}{index}") for index in range(asked.choices))
    thoughts = behaviour.reasoning_tokens if asked.reasoning is not False else 0
    if asked.reasoning and not thoughts:
        thoughts = _THOUGHTS
    reasoning = _words(rng, min(thoughts, MAX_OUTPUT_TOKENS)) if thoughts else ()
    given = input_tokens(asked)
    cached = int(given * behaviour.cached_share)
    return Completion(
        id=identity,
        created=_EPOCH + int(ids[:8], 16) % 5_000_000,
        choices=choices,
        reasoning=reasoning,
        reasoning_tokens=len(reasoning),
        input_tokens=given,
        cached_tokens=cached,
        cache_write_tokens=min(given - cached, int(given * behaviour.cache_write_share)),
        output_tokens=sum(choice.tokens for choice in choices) + len(reasoning),
    )


def _choice(asked: Asked, behaviour: Behaviour, rng: Random, length: int, ids: str) -> Choice:
    if asked.tools and (asked.tool_forced or (behaviour.tool_calls and not asked.after_tool)):
        wanted = max(1, min(behaviour.tool_calls, 16)) if asked.parallel_tools else 1
        calls = []
        for number in range(wanted):
            tool = asked.tools[number % len(asked.tools)]
            value = Fitter(tool.parameters, rng, asked.last_user_text if behaviour.echo else behaviour.text).value()
            fragments = _fragments(msgspec.json.encode(value if isinstance(value, dict) else {}).decode(), rng)
            calls.append(ToolCall(f"call_{ids}{number}", f"fc_{ids}{number}", tool.name, fragments))
        return Choice(tokenize(behaviour.preface), False, tuple(calls), False)
    if behaviour.decline_rate and rng.random() < behaviour.decline_rate:
        return Choice(tokenize("I'm sorry, but I can't help with that."), True, (), False)
    free = asked.last_user_text if behaviour.echo else behaviour.text
    if asked.schema is not None or asked.json_mode:
        value = Fitter(asked.schema, rng, free).value() if asked.schema is not None else {"answer": free or "yes"}
        pieces = _fragments(msgspec.json.encode(value).decode(), rng)
    elif free:
        pieces = tokenize(free)[:MAX_OUTPUT_TOKENS]
    else:
        pieces = _words(rng, length)
    return _limited(pieces, asked)


def _limited(pieces: tuple[str, ...], asked: Asked) -> Choice:
    """The pieces up to the first stop sequence and the token limit."""
    text = "".join(pieces)
    ends = sorted((text.find(stop), stop) for stop in asked.stop if stop and stop in text)
    if ends:
        pieces = tokenize(text[: ends[0][0]])
    if asked.max_tokens is not None and len(pieces) > asked.max_tokens:
        return Choice(pieces[: asked.max_tokens], False, (), True)
    return Choice(pieces, False, (), False, ends[0][1] if ends else "")


def _words(rng: Random, count: int) -> tuple[str, ...]:
    chosen = rng.choices(_WORDS, k=count)
    return tuple(f"{_gap(index)}{word}" for index, word in enumerate(chosen))


def _gap(index: int) -> str:
    """What stands before the word with this index: nothing, at times a new line, else a space."""
    if index == 0:
        return ""
    return "\n" if index % 40 == 0 else " "


def _fragments(text: str, rng: Random) -> tuple[str, ...]:
    """The text in pieces of 3 to 9 characters, as arguments stream."""
    pieces = []
    at = 0
    while at < len(text):
        size = rng.randint(3, 9)
        pieces.append(text[at : at + size])
        at += size
    return tuple(pieces)


def logprob(token: str) -> float:
    """A log probability for a token, by its bytes alone."""
    return -((sum(token.encode()) % 97) + 1) / 128
