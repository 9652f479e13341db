"""Gemini's Interactions as a codec: its parts stand in the files that begin with this one's name."""

from typing import Final

from appliance.wire.translation.codec import Codec
from appliance.wire.translation.gemini_interactions_answer_reader import AnswerReader
from appliance.wire.translation.gemini_interactions_answer_writer import AnswerWriter
from appliance.wire.translation.gemini_interactions_request_reader import read_request
from appliance.wire.translation.gemini_interactions_request_writer import write_request
from appliance.wire.translation.gemini_interactions_whole import read_answer, write_answer

GEMINI_INTERACTIONS: Final = Codec(
    name="gemini_interactions",
    read_request=read_request,
    write_request=write_request,
    answer_reader=AnswerReader,
    answer_writer=AnswerWriter,
    read_answer=read_answer,
    write_answer=write_answer,
)
