"""OpenAI Responses as a codec: its parts stand in the files that begin with this one's name."""

from typing import Final

from appliance.wire.translation.codec import Codec
from appliance.wire.translation.openai_responses_answer_reader import AnswerReader
from appliance.wire.translation.openai_responses_answer_writer import AnswerWriter
from appliance.wire.translation.openai_responses_request_reader import read_request
from appliance.wire.translation.openai_responses_request_writer import write_request
from appliance.wire.translation.openai_responses_whole import read_answer, write_answer

OPENAI_RESPONSES: Final = Codec(
    name="openai_responses",
    read_request=read_request,
    write_request=write_request,
    answer_reader=AnswerReader,
    answer_writer=AnswerWriter,
    read_answer=read_answer,
    write_answer=write_answer,
)
