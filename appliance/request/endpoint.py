"""The endpoints that the gateway answers, as nouns: what they are called in records and where they go upstream."""

from typing import Literal

import msgspec

DialectName = Literal[
    "openai_chat",
    "openai_responses",
    "openai_embeddings",
    "openai_models",
    "anthropic_messages",
    "anthropic_count",
    "anthropic_models",
    "gemini_generate",
    "gemini_unary",
    "gemini_interactions",
    "gemini_models",
]


class Endpoint(msgspec.Struct, frozen=True):
    """One kind of call.

    `upstream` is its path below a provider's base URL; empty: the dialect makes it, or, where `here`, the call is
    answered without a provider (request/information.py). `tiered`: whether service tiers mean anything to it. `kept`:
    it is about what a provider keeps of an earlier call, which has no model; then `method` is the one used there too.
    """

    name: str
    dialect: DialectName
    upstream: bytes = b""
    tiered: bool = True
    here: bool = False
    kept: bool = False
    method: bytes = b"POST"


CHAT = Endpoint("chat.completions", "openai_chat", b"/chat/completions")
RESPONSES = Endpoint("responses", "openai_responses", b"/responses")
RESPONSE_GET = Endpoint("responses.retrieve", "openai_responses", tiered=False, kept=True, method=b"GET")
RESPONSE_DELETE = Endpoint("responses.delete", "openai_responses", tiered=False, kept=True, method=b"DELETE")
RESPONSE_CANCEL = Endpoint("responses.cancel", "openai_responses", tiered=False, kept=True)
RESPONSE_INPUT = Endpoint("responses.input_items", "openai_responses", tiered=False, kept=True, method=b"GET")
EMBEDDINGS = Endpoint("embeddings", "openai_embeddings", b"/embeddings", tiered=False)
MODELS = Endpoint("models.list", "openai_models", here=True)
MODEL = Endpoint("models.retrieve", "openai_models", here=True)
MESSAGES = Endpoint("messages", "anthropic_messages", b"/messages")
COUNT_TOKENS = Endpoint("messages.count_tokens", "anthropic_count", b"/messages/count_tokens", tiered=False)
ANTHROPIC_MODELS = Endpoint("models.list", "anthropic_models", here=True)
ANTHROPIC_MODEL = Endpoint("models.retrieve", "anthropic_models", here=True)
GENERATE = Endpoint("generateContent", "gemini_generate")
GEMINI_COUNT = Endpoint("countTokens", "gemini_unary", tiered=False)
GEMINI_EMBED = Endpoint("embedContent", "gemini_unary", tiered=False)
INTERACTIONS = Endpoint("interactions", "gemini_interactions")
INTERACTION_GET = Endpoint("interactions.get", "gemini_interactions", tiered=False, kept=True, method=b"GET")
INTERACTION_DELETE = Endpoint("interactions.delete", "gemini_interactions", tiered=False, kept=True, method=b"DELETE")
INTERACTION_CANCEL = Endpoint("interactions.cancel", "gemini_interactions", tiered=False, kept=True)
GEMINI_MODELS = Endpoint("models.list", "gemini_models", here=True)
GEMINI_MODEL = Endpoint("models.retrieve", "gemini_models", here=True)
REQUEST = Endpoint("requests.retrieve", "openai_models", here=True)
ANTHROPIC_REQUEST = Endpoint("requests.retrieve", "anthropic_models", here=True)
GEMINI_REQUEST = Endpoint("requests.retrieve", "gemini_models", here=True)
"""The account of a request is the same in every dialect, its errors are not."""
EXPLAIN = Endpoint("explain", "openai_chat", here=True)
GEMINI_ACTIONS: dict[str, Endpoint] = {
    "generateContent": GENERATE,
    "streamGenerateContent": GENERATE,
    "countTokens": GEMINI_COUNT,
    "embedContent": GEMINI_EMBED,
    "batchEmbedContents": GEMINI_EMBED,
}
"""By what stands behind the colon of a path; it is part of the call's `argument`."""
