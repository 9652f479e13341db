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
]


class Endpoint(msgspec.Struct, frozen=True):
    """One kind of call.

    `upstream` is its path below a provider's base URL; empty: the dialect makes it, or, where `listed`, the call is
    answered here. `tiered`: whether service tiers mean anything to it.
    """

    name: str
    dialect: DialectName
    upstream: bytes = b""
    tiered: bool = True
    listed: bool = False


CHAT = Endpoint("chat.completions", "openai_chat", b"/chat/completions")
RESPONSES = Endpoint("responses", "openai_responses", b"/responses")
EMBEDDINGS = Endpoint("embeddings", "openai_embeddings", b"/embeddings", tiered=False)
MODELS = Endpoint("models.list", "openai_models", listed=True)
MODEL = Endpoint("models.retrieve", "openai_models", listed=True)
MESSAGES = Endpoint("messages", "anthropic_messages", b"/messages")
COUNT_TOKENS = Endpoint("messages.count_tokens", "anthropic_count", b"/messages/count_tokens", tiered=False)
ANTHROPIC_MODELS = Endpoint("models.list", "anthropic_models", listed=True)
ANTHROPIC_MODEL = Endpoint("models.retrieve", "anthropic_models", listed=True)
