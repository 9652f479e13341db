"""Anthropic Messages as a codec: its parts stand in the files that begin with this one's name."""

from typing import Final

from appliance.wire.translation.anthropic_answer_reader import AnswerReader
from appliance.wire.translation.anthropic_answer_writer import AnswerWriter
from appliance.wire.translation.anthropic_request_reader import read_request
from appliance.wire.translation.anthropic_request_writer import write_request
from appliance.wire.translation.anthropic_whole import read_answer, write_answer
from appliance.wire.translation.codec import Codec

ANTHROPIC: Final = Codec(
    name="anthropic_messages",
    read_request=read_request,
    write_request=write_request,
    answer_reader=AnswerReader,
    answer_writer=AnswerWriter,
    read_answer=read_answer,
    write_answer=write_answer,
)
