"""The endpoints that the gateway answers, as nouns: what they are called in records and where they go upstream."""

from typing import Literal

import msgspec

DialectName = Literal["openai_chat", "openai_responses", "openai_embeddings", "openai_models"]


class Endpoint(msgspec.Struct, frozen=True):
    """One kind of call. `upstream` is its path below a provider's base URL; empty: answered here."""

    name: str
    dialect: DialectName
    upstream: bytes = b""


CHAT = Endpoint("chat.completions", "openai_chat", b"/chat/completions")
RESPONSES = Endpoint("responses", "openai_responses", b"/responses")
EMBEDDINGS = Endpoint("embeddings", "openai_embeddings", b"/embeddings")
MODELS = Endpoint("models.list", "openai_models")
MODEL = Endpoint("models.retrieve", "openai_models")
