"""What a provider keeps of earlier calls: read, deleted, cancelled. The rule: it passes untouched, and costs nothing.

Such a call names no model and has no body: its id in the path is the provider's own word. A whole answer is not read;
a stream that is played again is watched as it was the first time. The usage in either was counted when it was made.
"""

from typing import Final

from appliance.domain.errors import Fault
from appliance.domain.tokens import NO_TOKENS
from appliance.wire import gemini_interactions, openai_responses
from appliance.wire.body import RequestBody
from appliance.wire.dialect import Answer, Asked, Assembler, Dialect, Framing, StreamReaderClass

_COLLECTIONS: Final = {"gemini_interactions": b"/interactions/", "openai_responses": b"/responses/"}
_ANSWER: Final = Answer(usage=NO_TOKENS)


def _not_raced(_body: RequestBody) -> str | None:
    return "kept"


class Kept:
    """A dialect's calls to what is kept; see `dialect.Dialect`."""

    TIER_HEADER: bytes | None = None

    def __init__(self, dialect: Dialect) -> None:
        self.NAME = dialect.NAME
        self._dialect = dialect

    @property
    def COMMENTS(self) -> bool:  # noqa: N802
        """As in the dialect."""
        return self._dialect.COMMENTS

    @property
    def StreamReader(self) -> StreamReaderClass:  # noqa: N802
        """As in the dialect."""
        return self._dialect.StreamReader

    @property
    def Assembler(self) -> type[Assembler]:  # noqa: N802
        """As in the dialect; never asked for."""
        return self._dialect.Assembler

    def read_request(
        self, body: RequestBody, header_start_within: bytes | None, argument: str = "", query: bytes = b""
    ) -> Asked:
        """What was asked: `argument` is the id, perhaps with `/` and an action behind it."""
        return Asked(
            model="",
            stream=b"stream=true" in query.lower().split(b"&"),
            service_tier=None,
            start_within=None,
            include_usage=True,
            max_output_tokens=None,
            estimated_input_tokens=0,
            body=body,
            not_raced=_not_raced,
            action=argument,
        )

    def path(self, asked: Asked, *, model: str, stream: bool) -> bytes:
        """Where the call goes, below the provider's base URL."""
        path = _COLLECTIONS[self.NAME] + asked.action.encode()
        return path + b"?alt=sse" if stream and self.NAME == "gemini_interactions" else path

    def upstream_body(self, asked: Asked, *, model: str, tier: str | None, stream: bool, add_usage: bool) -> bytes:
        """Nothing."""
        return b""

    def read_answer(self, body: bytes, *, provider: str = "", tier_asked: str | None = None) -> Answer:
        """No facts: it is not looked into."""
        return _ANSWER

    def keep_alive(self, framing: Framing = "sse") -> bytes:
        """As in the dialect."""
        return self._dialect.keep_alive(framing)

    def cost_event(self, facts: dict[str, object], *, sequence_number: int = 0) -> bytes:
        """Nothing: it costs nothing."""
        return b""

    def error_event(
        self,
        fault: Fault,
        *,
        sequence_number: int = 0,
        response_id: str | None = None,
        request_id: str = "",
        framing: Framing = "sse",
    ) -> bytes:
        """As in the dialect."""
        return self._dialect.error_event(
            fault, sequence_number=sequence_number, response_id=response_id, request_id=request_id, framing=framing
        )


KEPT: Final[dict[str, Dialect]] = {
    "gemini_interactions": Kept(gemini_interactions),
    "openai_responses": Kept(openai_responses),
}
"""By the name of the dialect; the name of what is in here is the same."""
