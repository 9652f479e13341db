"""Reasoning in the chat dialect: `reasoning_details`, by OpenRouter's convention. The rule: a sealed block survives.

Each entry has a `type` (`reasoning.text`, `reasoning.summary`, `reasoning.encrypted`), a `format` that tells whose it
is, and an `index`; entries of one index are one block. A client that gives them back keeps signatures between turns.
"""

from typing import Any, Final

from appliance.domain.chat import Reasoning, Seal
from appliance.wire.translation.openai_chat_shapes import ReasoningDetail

FORMATS: Final = {
    "anthropic": "anthropic-claude-v1",
    "openai": "openai-responses-v1",
    "gemini": "google-gemini-v1",
    "xai": "xai-responses-v1",
}
_OTHER = "startline-"
_HOMES: Final = {name: home for home, name in FORMATS.items()}


def detail_of_seal(seal: Seal, index: int) -> dict[str, Any]:
    """The entry that carries a seal."""
    entry: dict[str, Any] = {"type": "reasoning.text" if seal.kind == "signature" else "reasoning.encrypted"}
    entry["signature" if seal.kind == "signature" else "data"] = seal.data
    if seal.id is not None:
        entry["id"] = seal.id
    entry["format"] = FORMATS.get(seal.home) or _OTHER + seal.home + "-" + seal.kind
    entry["index"] = index
    return entry


def details_of(reasoning: Reasoning, index: int) -> list[dict[str, Any]]:
    """The entries of a whole block."""
    text = {"type": "reasoning.text", "text": reasoning.text, "index": index}
    if reasoning.seal is None:
        return [text]
    sealed = detail_of_seal(reasoning.seal, index)
    if sealed["type"] == "reasoning.text":
        return [{"type": "reasoning.text", "text": reasoning.text} | sealed]
    return [text, sealed] if reasoning.text else [sealed]


def read_details(details: list[ReasoningDetail], shown: str | None = None) -> list[Reasoning]:
    """The blocks of a message, in order. Entries without an index are blocks of their own.

    `shown` is the message's reasoning as text. Where there is some, a signature without the words that it signs came
    through a client that keeps the last piece of a stream alone (the stream helper of OpenAI's SDK for Node): it is
    worth nothing any more, and its provider would refuse the request.
    """
    blocks: dict[object, tuple[list[str], list[Seal]]] = {}
    for place, detail in enumerate(details):
        key: object = detail.index if detail.index is not None else ("alone", place)
        texts, seals = blocks.setdefault(key, ([], []))
        texts.append(detail.text or detail.summary or "")
        seal = seal_of(detail)
        if seal is not None:
            seals.append(seal)
    found = [Reasoning("".join(texts), seals[0] if seals else None) for texts, seals in blocks.values()]
    if not shown:
        return found
    return [it for it in found if it.text or it.seal is None or it.seal.kind != "signature"]


def seal_of(detail: ReasoningDetail) -> Seal | None:
    """The seal that an entry carries, if any; a home that nobody named is `unknown`."""
    form = detail.format or ""
    if detail.signature:
        home = _home(form)
        return Seal(home, detail.signature, "signature", detail.id)
    if not detail.data:
        return None
    home = _home(form)
    if form.startswith(_OTHER) and form.endswith("-redacted"):
        return Seal(home, detail.data, "redacted", detail.id)
    if home == "anthropic":
        return Seal(home, detail.data, "redacted", detail.id)
    if home == "gemini" or form.endswith("-part"):
        return Seal(home, detail.data, "part", detail.id)
    return Seal(home, detail.data, "encrypted", detail.id)


def _home(form: str) -> str:
    if form in _HOMES:
        return _HOMES[form]
    if form.startswith(_OTHER):
        return form[len(_OTHER) :].rpartition("-")[0]
    return "unknown"
