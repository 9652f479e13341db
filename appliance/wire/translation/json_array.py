"""A JSON array that grows: cut into its elements. The rule: the elements are the same wherever the input was cut.

Only what stands between elements is looked at closely: an element is an object, and ends where its braces do. Bytes
inside strings are skipped by a search for the next quote or backslash.
"""

import re

from appliance.wire.sse import MAX_EVENT_BYTES

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')
_BETWEEN = b" \t\r\n,[]"


class ArraySplitter:
    """Cuts the array into the bytes of its elements. `broken`: what follows them is no object, or has no end."""

    __slots__ = ("_at", "_buffer", "_depth", "_max_bytes", "_text", "broken")

    def __init__(self, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = b""
        self._at = 0  # how far the unfinished element was looked at
        self._depth = 0
        self._text = False  # inside a string
        self._max_bytes = max_bytes
        self.broken = False

    def feed(self, data: bytes) -> list[bytes]:
        """The elements that `data` completes."""
        buffer = self._buffer + data
        elements: list[bytes] = []
        while not self.broken:
            if not self._depth:
                buffer = buffer.lstrip(_BETWEEN)
                if not buffer:
                    break
                if buffer[:1] != b"{":
                    self.broken = True
                    break
                self._at, self._depth = 1, 1
            if not self._look(buffer):
                break
            elements.append(buffer[: self._at])
            buffer = buffer[self._at :]
        self._buffer = buffer
        if len(buffer) > self._max_bytes:
            self.broken = True
        return elements

    def _look(self, buffer: bytes) -> bool:
        """Look on from where we were; whether the element is complete."""
        at = self._at
        while True:
            found = (_INSIDE if self._text else _OUTSIDE).search(buffer, at)
            if found is None:
                self._at = len(buffer)
                return False
            at = found.end()
            mark = buffer[at - 1]
            if self._text:
                if mark == 0x22:
                    self._text = False
                elif at == len(buffer):  # what the backslash stands before has not come
                    self._at = at - 1
                    return False
                else:
                    at += 1
            elif mark == 0x22:
                self._text = True
            elif mark in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
                if not self._depth:
                    self._at = at
                    return True
