"""What is dropped or changed in a request for another dialect. The rule: what is not in the table is refused.

`DROPS` is the one table; docs/translation.md shows it, compared by a test. A writer tells `Losses` of everything that
its dialect cannot say; the table decides. A field is named as in `domain.chat`; one that only its own dialect knows as
`dialect.field`; `field=value` is a row for that value alone.
"""

from typing import Final

import msgspec

from appliance.domain.chat import Conversation, DialectName
from appliance.domain.errors import CallerFault

ALL: Final[tuple[DialectName, ...]] = (
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "gemini_generate",
    "gemini_interactions",
)
_CHAT: Final[tuple[DialectName, ...]] = ("openai_chat",)
_OPENAI: Final[tuple[DialectName, ...]] = ("openai_chat", "openai_responses")
_ANTHROPIC: Final[tuple[DialectName, ...]] = ("anthropic_messages",)
_GEMINI: Final[tuple[DialectName, ...]] = ("gemini_generate", "gemini_interactions")
_INTERACTIONS: Final[tuple[DialectName, ...]] = ("gemini_interactions",)
_GENERATE: Final[tuple[DialectName, ...]] = ("gemini_generate",)
_NOT_ANTHROPIC: Final = (*_OPENAI, *_GEMINI)
_NOT_OPENAI: Final = (*_ANTHROPIC, *_GEMINI)
_NULL = msgspec.Raw(b"null")


class Inexpressible(CallerFault):
    """The request asks for something that the provider's dialect cannot say: 400, with the field named."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__("inexpressible", f"{field}: {why}", param=field)


class Drop(msgspec.Struct, frozen=True):
    """One row: on the way to `targets`, `field` is left out or changed as `how` says, harmlessly because of `why`."""

    field: str
    targets: tuple[DialectName, ...]
    how: str
    why: str


_HINT: Final = "A hint about the answer's form; the question stays the same."
_PRICE: Final = "Concerns the price of the prompt, not the answer."

DROPS: Final[tuple[Drop, ...]] = (
    Drop("cache", _NOT_ANTHROPIC, "dropped", _PRICE + " These providers cache prefixes unasked."),
    Drop("cache_key", _NOT_OPENAI, "dropped", _PRICE),
    Drop("user", _GEMINI, "dropped", "Helps the provider to find abuse; the answer does not depend on it."),
    Drop("metadata", ALL, "dropped", "Labels for the provider's own dashboard; the model does not see them."),
    Drop("store=false", ALL, "dropped", "Nothing is stored where nothing can be asked to be stored."),
    Drop("seed", _ANTHROPIC, "dropped", "Best effort by its own definition."),
    Drop("verbosity", _NOT_OPENAI, "dropped", _HINT),
    Drop("image.detail", _NOT_OPENAI, "dropped", "A hint about resolution; the provider chooses its own."),
    Drop("tool.strict=false", ALL, "dropped", "Says what is usual."),
    Drop("file.context", _GEMINI, "becomes a text", "Stands before the document; the model reads it all the same."),
    Drop("file.citations=false", _OPENAI, "dropped", "Says what is usual."),
    Drop("parallel_tool_calls=false", _ANTHROPIC, "dropped", "Only where no call is possible at all."),
    Drop("parallel_tool_calls=true", ALL, "dropped", "Says what is usual."),
    Drop("n=1", ALL, "dropped", "Says what is usual."),
    Drop("frequency_penalty=0", ALL, "dropped", "Says what is usual."),
    Drop("presence_penalty=0", ALL, "dropped", "Says what is usual."),
    Drop("logprobs=false", ALL, "dropped", "Says what is usual."),
    Drop("top_logprobs=0", ALL, "dropped", "Says what is usual."),
    Drop("output=text", ALL, "dropped", "Says what is usual."),
    Drop("output.name", _NOT_OPENAI, "dropped", "A label; the schema itself is kept."),
    Drop("output.description", _NOT_OPENAI, "dropped", "A label; the schema itself is kept."),
    Drop("output.strict", _NOT_OPENAI, "dropped", "These providers always hold to the schema."),
    Drop("thinking.on", _NOT_ANTHROPIC, "dropped", "Without an effort, a model that thinks decides by itself."),
    Drop("thinking.show", ALL, "dropped", "Concerns which reasoning is shown, not the answer."),
    Drop("thinking.effort=minimal", _ANTHROPIC, "becomes `low`", "The nearest effort that there is."),
    Drop(
        "thinking.budget_tokens",
        (*_OPENAI, *_INTERACTIONS),
        "becomes an effort",
        "Up to 2048 `low`, up to 16384 `medium`, else `high`.",
    ),
    Drop("reasoning.text", ALL, "dropped", "A past turn's reasoning; its outcome, the answer, is kept."),
    Drop("reasoning.seal", ALL, "dropped", "A signature is worth something only to the provider that made it."),
    Drop("refusal", _NOT_OPENAI, "becomes text", "The words are the same."),
    Drop("tool_choice.without_tools", _ANTHROPIC, "dropped", "Without a tool there is nothing to choose."),
    Drop("web_search.context", _NOT_OPENAI, "dropped", "A hint how much to read; the provider chooses its own."),
    Drop(
        "thinking.effort",
        _ANTHROPIC,
        "becomes a budget",
        "For models that know no effort: `low` 2048 tokens, `medium` 8192, `high` 16384, `xhigh` 32000, `max` 64000.",
    ),
    Drop(
        "thinking.effort",
        _GENERATE,
        "becomes a budget",
        "For models that know no level: `minimal` 512 tokens, `low` 1024, `medium` 8192, above 24576.",
    ),
    Drop("thinking.on=false", _INTERACTIONS, "becomes `minimal`", "The least thinking that can be asked for."),
    Drop("thinking.effort=max", _GEMINI, "becomes `xhigh`", "The nearest level that there is."),
    Drop("thinking.budget_tokens", _GENERATE, "dropped beside an effort", "The effort says it; both are refused."),
    Drop(
        "role=system",
        _GEMINI,
        "becomes a user's words",
        "In mid-conversation alone, where these providers know no instructions: it keeps its place, and gains no rank.",
    ),
    Drop("system.texts", _INTERACTIONS, "joined", "An empty line stands between them; instructions are one text here."),
    Drop("file.name", _GEMINI, "dropped", "A label; the document itself is kept."),
    Drop("role=developer", _NOT_OPENAI, "becomes `system`", "The same rank where there is one kind of instruction."),
    Drop("parts.order", _CHAT, "text before calls", "A message has its text in one field and its calls in another."),
    Drop("text.empty", _NOT_OPENAI, "dropped", "Nothing is said; these providers refuse an empty text."),
    Drop("text.citations", ALL, "dropped", "Marks on a past answer; its words are kept."),
    Drop("tool_result.is_error", _OPENAI, "dropped", "The result's own text tells of the error."),
    Drop(
        "tool_result.image", _CHAT, "moved", "Into a user message after the results: a tool's message holds only text."
    ),
    Drop("anthropic_messages.context_management", ALL, "dropped", "Only trims what is sent again; it is sent whole."),
    Drop("anthropic_messages.diagnostics", ALL, "dropped", "Asks about the provider's cache."),
    Drop("anthropic_messages.speed=standard", ALL, "dropped", "Says what is usual."),
    Drop("anthropic_messages.tools[].defer_loading", ALL, "dropped", "The tool is loaded at once."),
    Drop("anthropic_messages.tools[].eager_input_streaming", ALL, "dropped", "Concerns how arguments are cut."),
    Drop("anthropic_messages.tools[].input_examples", ALL, "dropped", "Examples beside the schema, which is kept."),
    Drop("anthropic_messages.tools[].allowed_callers", ALL, "dropped", "The model itself always may call the tool."),
    Drop("anthropic_messages.messages[].citations", ALL, "dropped", "Marks on a past answer; its words are kept."),
    Drop("anthropic_messages.tools[].cache_control", ALL, "dropped", _PRICE),
    Drop("anthropic_messages.caller", ALL, "dropped", "Says that the model itself called the tool."),
    Drop("gemini_interactions.background=false", ALL, "dropped", "Says what is usual."),
    Drop("gemini_interactions.input[].annotations", ALL, "dropped", "Marks on a past answer; its words are kept."),
    Drop("gemini_interactions.input[].resolution", ALL, "dropped", "A hint about resolution."),
    Drop("gemini_interactions.tools[].defer_loading", ALL, "dropped", "The tool is loaded at once."),
    Drop("gemini_interactions.tools[].short_description", ALL, "dropped", "The description is kept."),
    Drop(
        "gemini_interactions.generation_config.tool_choice=validated",
        ALL,
        "becomes `auto`",
        "The model may call or speak; that calls fit their schemas is what every provider aims at.",
    ),
    Drop("gemini_generate.safetySettings=none", ALL, "dropped", "No filter is asked for, and there is none."),
    Drop("gemini_generate.generationConfig.responseModalities=text", ALL, "dropped", "Says what is usual."),
    Drop("gemini_generate.mediaResolution", ALL, "dropped", "A hint about resolution; the provider chooses its own."),
    Drop("gemini_generate.partMetadata", ALL, "dropped", "Notes of the caller; the model does not see them."),
    Drop("gemini_generate.functionDeclarations[].response", ALL, "dropped", "Tells what a result will look like."),
    Drop(
        "gemini_generate.functionCallingConfig.mode=VALIDATED",
        ALL,
        "becomes `auto`",
        "The model may call or speak; that calls fit their schemas is what every provider aims at.",
    ),
    Drop("openai_responses.background=false", ALL, "dropped", "Says what is usual."),
    Drop("openai_responses.truncation=disabled", ALL, "dropped", "Says what is usual."),
    Drop("openai_responses.reasoning.context=auto", ALL, "dropped", "Says what is usual."),
    Drop("openai_responses.reasoning.mode=standard", ALL, "dropped", "Says what is usual."),
    Drop("openai_responses.prompt_cache_options", ALL, "dropped", _PRICE),
    Drop("openai_responses.prompt_cache_retention", ALL, "dropped", _PRICE),
    Drop("openai_responses.user", ALL, "dropped", "`safety_identifier` stands beside it and is kept."),
    Drop("openai_responses.client_metadata", ALL, "dropped", "Labels of the client; the model does not see them."),
    Drop("openai_responses.stream_options.include_obfuscation", ALL, "dropped", "Padding; the content is the same."),
    Drop("openai_responses.include", ALL, "dropped", "Asks for more about the provider's own tools."),
    Drop("openai_responses.input[].phase", ALL, "dropped", "A mark on a past answer; its words are kept."),
    Drop("openai_responses.input[].annotations", ALL, "dropped", "Marks on a past answer; its words are kept."),
    Drop("openai_responses.input[].detail", ALL, "dropped", "A hint about a document's resolution."),
    Drop("openai_responses.tools[].defer_loading", ALL, "dropped", "The tool is loaded at once."),
    Drop("openai_responses.tools[].output_schema", ALL, "dropped", "Tells what a result will look like."),
    Drop("openai_responses.tools[].allowed_callers", ALL, "dropped", "The model itself may call the tool."),
    Drop(
        "openai_responses.tools[].external_web_access=false",
        ALL,
        "the search is left out",
        "It may look into the provider's cache alone, which no other has; the model answers without it.",
    ),
    Drop("openai_chat.prompt_cache_options", ALL, "dropped", _PRICE),
    Drop("openai_chat.prompt_cache_retention", ALL, "dropped", _PRICE),
    Drop("openai_chat.prediction", ALL, "dropped", "Only makes the same answer faster."),
    Drop("openai_chat.modalities=text", ALL, "dropped", "Says what is usual."),
    Drop("openai_chat.user", ALL, "dropped", "`safety_identifier` stands beside it and is kept."),
    Drop("openai_chat.messages[].annotations", ALL, "dropped", "Marks on a past answer; its words are kept."),
    Drop("openai_chat.messages[].parsed", ALL, "dropped", "What the SDK made of content or arguments, which are kept."),
    Drop("openai_chat.messages[].name", ALL, "dropped", "On a tool's result it only repeats the call's name."),
    Drop("openai_chat.stream_options.include_obfuscation", ALL, "dropped", "Padding; the content is the same."),
)

_TABLE: Final = {(row.field, target): row for row in DROPS for target in row.targets}


class Losses:
    """What one request loses on its way to `target`: keeps what the table allows and refuses the rest."""

    __slots__ = ("_dropped", "target")

    def __init__(self, target: DialectName) -> None:
        self.target: DialectName = target
        self._dropped: dict[str, None] = {}

    @property
    def fields(self) -> tuple[str, ...]:
        """The rows that were used, in the order of first use: for the response header."""
        return tuple(self._dropped)

    def drop(self, field: str, at: str | None = None, why: str | None = None) -> None:
        """`field` cannot be said. Raises Inexpressible (naming `at`, the place in the caller's body) if it may not."""
        if (field, self.target) not in _TABLE:
            raise Inexpressible(at or field, why or f"cannot be said to a provider that speaks {self.target}")
        self._dropped[field] = None

    def look_over(self, conversation: Conversation) -> None:
        """What no target can take: several answers, and what only the source dialect knows. Raises Inexpressible."""
        if conversation.n is not None:
            self.drop("n=1" if conversation.n == 1 else "n", "n", "an answer is translated only if it is the only one")
        for name, value in conversation.extras.items():
            if value != _NULL:
                self.drop(f"{conversation.dialect}.{name}", name)
