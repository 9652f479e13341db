"""Heads that repeat: an SDK's next request on a connection differs from its last in nothing but the body's length.

The rule: a head is recognised only if all its bytes but the digits of one Content-Length are those of a head that was
parsed and accepted, and the digits are a plain number; then it means the same. Parsing it again would cost more than
anything else that is done for a request.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.http1.request import RequestHead

_NAME = b"\r\ncontent-length:"
_MOST_DIGITS = 15
_MOST_KEPT_BYTES = 8192
"""Longer heads are not kept: they would be memory that an idle connection holds."""
_MOST_MISSES = 2
"""After so many heads in a row that were not recognised, a client is taken for one whose heads differ."""


class LastHead:
    """The last head with a body of known length on one connection, taken apart around its length."""

    __slots__ = ("_after", "_before", "_digits", "_head", "_misses")

    def __init__(self) -> None:
        self._head: RequestHead | None = None
        self._before = b""
        self._after = b""
        self._digits = b""
        self._misses = 0

    def recall(self, raw: bytes) -> "RequestHead | None":
        """The head that `raw` is, if it is the last one again but for its length; its `kin` is then the same object."""
        last = self._head
        if last is None:
            return None
        before, after = self._before, self._after
        end = len(raw) - len(after)
        digits = raw[len(before) : end]
        if not digits or not raw.startswith(before) or not raw.endswith(after) or end <= len(before):
            return None
        self._misses = 0
        if digits == self._digits:
            return last
        if len(digits) > _MOST_DIGITS or not digits.isdigit() or digits[0] == 0x30:
            return None
        length = int(digits)
        table = dict(last.get.__self__)  # type: ignore[attr-defined]
        table[b"content-length"] = digits
        head = last.twin()
        head.headers = [(name, digits if name == b"content-length" else value) for name, value in last.headers]
        head.get = table.get
        head.content_length = length
        head.raw = raw
        return head

    def remember(self, head: "RequestHead") -> None:
        """Take note of a head that was parsed."""
        if self._misses > _MOST_MISSES:
            self._head = None
            return
        self._misses += 1
        digits = head.get(b"content-length")
        raw = head.raw
        if not digits or not head.content_length or head.chunked or len(raw) > _MOST_KEPT_BYTES:
            return
        at = raw.lower().find(_NAME) + len(_NAME)
        start = raw.find(digits, at)
        if raw[at:start].strip(b" \t") or raw[start + len(digits) : start + len(digits) + 2] != b"\r\n":
            return
        self._before, self._after, self._digits = raw[:start], raw[start + len(digits) :], digits
        self._head = head
