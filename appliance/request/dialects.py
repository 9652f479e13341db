"""The dialects that callers and providers speak, by name. The rule: a name stands for one module, in one table."""

from typing import Final

from appliance.wire import (
    anthropic_count,
    anthropic_messages,
    gemini_generate,
    gemini_interactions,
    gemini_unary,
    openai_chat,
    openai_embeddings,
    openai_responses,
)
from appliance.wire.dialect import Dialect

DIALECTS: Final[dict[str, Dialect]] = {
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "openai_embeddings": openai_embeddings,
    "anthropic_messages": anthropic_messages,
    "anthropic_count": anthropic_count,
    "gemini_generate": gemini_generate,
    "gemini_unary": gemini_unary,
    "gemini_interactions": gemini_interactions,
}
