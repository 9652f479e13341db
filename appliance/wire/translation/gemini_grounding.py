"""Google's grounding: which pages a text rests on. The rule: its places count bytes of UTF-8, ours characters.

To count from one to the other the text is kept up to a bound; beyond it places are told of ASCII texts alone.
"""

from typing import Any, Final

from appliance.domain.chat import Citation
from appliance.wire.translation.gemini_generate_answer_shapes import GroundShape

MOST_KEPT_BYTES: Final = 65_536


class Places:
    """Counts bytes and characters of a text that comes piece by piece."""

    __slots__ = ("_ascii", "_pieces", "bytes", "chars")

    def __init__(self) -> None:
        self._ascii = True
        self._pieces: list[str] | None = []
        self.bytes = self.chars = 0

    def add(self, text: str) -> None:
        """More of the text."""
        self.chars += len(text)
        if text.isascii():
            self.bytes += len(text)
        else:
            self._ascii = False
            self.bytes += len(text.encode())
        if self._pieces is not None:
            self._pieces.append(text)
            if self.bytes > MOST_KEPT_BYTES:
                self._pieces = None

    def char(self, at_byte: int) -> int | None:
        """The character that begins at or holds a byte; None if it cannot be told."""
        if self._ascii:
            return at_byte
        if self._pieces is None:
            return None
        return len("".join(self._pieces).encode()[:at_byte].decode(errors="ignore"))

    def byte(self, at_char: int) -> int | None:
        """The byte at which a character begins; None if it cannot be told."""
        if self._ascii:
            return at_char
        if self._pieces is None:
            return None
        return len("".join(self._pieces)[:at_char].encode())


def citations_of(ground: GroundShape, places: Places, begins: int) -> list[Citation]:
    """The citations of web pages; `begins` is the character of the text at which its part begins."""
    chunks = ground.grounding_chunks or []
    cited = []
    for support in ground.grounding_supports or ():
        segment = support.segment
        start = None if segment is None else places.char(segment.start_index)
        end = None if segment is None or segment.end_index is None else places.char(segment.end_index)
        for index in support.grounding_chunk_indices or ():
            web = chunks[index].web if 0 <= index < len(chunks) else None
            if web is None or web.uri is None:
                continue
            cited.append(
                Citation(
                    web.uri,
                    web.title,
                    None if segment is None else segment.text,
                    None if start is None else max(0, start - begins),
                    None if end is None else max(0, end - begins),
                )
            )
    return cited


def grounding_object(cited: list[tuple[Citation, int]], places: Places) -> dict[str, Any] | None:
    """`groundingMetadata` of citations, each with the character at which its part begins; None without web pages."""
    chunks: dict[str, tuple[int, dict[str, Any]]] = {}
    supports = []
    for citation, begins in cited:
        if citation.url is None:
            continue
        web = {"uri": citation.url, "title": citation.title or ""}
        index = chunks.setdefault(citation.url, (len(chunks), {"web": web}))[0]
        segment: dict[str, Any] = {}
        for name, place in (("startIndex", citation.start), ("endIndex", citation.end)):
            byte = None if place is None else places.byte(begins + place)
            if byte is not None:
                segment[name] = byte
        if citation.quote is not None:
            segment["text"] = citation.quote
        supports.append({"segment": segment, "groundingChunkIndices": [index]})
    if not chunks:
        return None
    return {"groundingChunks": [chunk for _, chunk in chunks.values()], "groundingSupports": supports}
