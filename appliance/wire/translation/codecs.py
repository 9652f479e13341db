"""The dialects that can be translated. The rule: each ordered pair of them works, tested in one matrix."""

from typing import Final

from appliance.domain.chat import DialectName
from appliance.wire.translation.anthropic import ANTHROPIC
from appliance.wire.translation.codec import Codec
from appliance.wire.translation.gemini_generate import GEMINI_GENERATE
from appliance.wire.translation.gemini_interactions import GEMINI_INTERACTIONS
from appliance.wire.translation.openai_chat import OPENAI_CHAT
from appliance.wire.translation.openai_responses import OPENAI_RESPONSES

CODECS: Final[dict[DialectName, Codec]] = {
    codec.name: codec
    for codec in (
        OPENAI_CHAT,
        OPENAI_RESPONSES,
        ANTHROPIC,
        GEMINI_GENERATE,
        GEMINI_INTERACTIONS,
    )
}
