"""Output items of a Responses answer, written. The rule: an item in the stream and in the whole is the same object."""

from typing import Any, Final

from appliance.domain.chat import Citation, Reasoning, Refusal, Seal, Text, ToolCall
from appliance.domain.stream import AnswerPart
from appliance.wire.translation.openai_chat_answer_shapes import logprob_object
from appliance.wire.translation.seals import stamp

_HOME: Final = "openai"
_KINDS: Final = ("encrypted",)
_LONGEST_TAIL: Final = 32


def item_id(kind: str, response_id: str, index: int) -> str:
    """An id that no other item has: of a message `msg`, a thought `rs`, a call `fc` or `ctc`."""
    tail = "".join(char for char in response_id if char.isascii() and char.isalnum())[-_LONGEST_TAIL:]
    return f"{kind}_{tail}{index:02}"


def id_of(part: AnswerPart, response_id: str, index: int) -> str:
    """The id of the item that holds a part."""
    if isinstance(part, ToolCall):
        return item_id("ctc" if part.custom else "fc", response_id, index)
    return item_id("rs" if isinstance(part, Reasoning) else "msg", response_id, index)


def message_item(told_id: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    """A message."""
    return {"id": told_id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str, annotations: list[dict[str, Any]], logprobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Words in a message."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def call_item(told_id: str, call: ToolCall, status: str) -> dict[str, Any]:
    """A call with its arguments so far."""
    if call.custom:
        head = {"id": told_id, "type": "custom_tool_call", "status": status}
        return head | {"call_id": call.id, "name": call.name, "input": call.arguments}
    head = {"id": told_id, "type": "function_call", "status": status}
    return head | {"call_id": call.id, "name": call.name, "arguments": call.arguments}


def reasoning_item(told_id: str, text: str, seal: Seal | None) -> dict[str, Any]:
    """A thought; a foreign seal is stamped into `encrypted_content`."""
    item: dict[str, Any] = {"id": told_id, "type": "reasoning", "summary": []}
    if text:
        item["summary"] = [{"type": "summary_text", "text": text}]
    if seal is not None:
        item["encrypted_content"] = stamp(seal, _HOME, _KINDS)
    return item


def annotation_object(citation: Citation, chars: int) -> dict[str, Any] | None:
    """A citation of a web page in a text of so many characters; None: one of a document has no form here."""
    if citation.url is None:
        return None
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title or "",
        "start_index": citation.start or 0,
        "end_index": chars if citation.end is None else citation.end,
    }


def item_of(part: AnswerPart, response_id: str, index: int) -> Any:
    """The item that says a part; None: only another dialect knows it."""
    told_id = id_of(part, response_id, index)
    if isinstance(part, Text):
        notes = (annotation_object(citation, len(part.text)) for citation in part.citations)
        logprobs = [logprob_object(one) for one in part.logprobs or ()]
        content = text_part(part.text, [note for note in notes if note is not None], logprobs)
        return message_item(told_id, [content], "completed")
    if isinstance(part, Refusal):
        return message_item(told_id, [{"type": "refusal", "refusal": part.text}], "completed")
    if isinstance(part, ToolCall):
        return call_item(told_id, part, "completed")
    if isinstance(part, Reasoning):
        return reasoning_item(told_id, part.text, part.seal)
    return part.raw if part.dialect == "openai_responses" else None
