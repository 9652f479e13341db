"""How much of an HTTP/1.1 message is accepted.

The rule: every limit is applied before the bytes that it bounds are parsed or collected.
"""

from dataclasses import dataclass

_FREE_OVERHEAD_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one direction; sizes in bytes.

    - `head_bytes`: start line, headers and the empty line after them.
    - `header_count`: header lines in one head.
    - `body_bytes`: the decoded body. For a response this is the whole of a streamed answer.
    - `chunk_line_bytes`: one chunk-size line with its extensions, without CRLF.
    - `trailer_bytes`: all trailer lines of one body.
    - `interim_count`: 1xx answers skipped before the final one (client side).
    - `empty_lines`: CRLFs tolerated before a request line (RFC 9112 section 2.2).
    """

    head_bytes: int = 64 * 1024
    header_count: int = 100
    body_bytes: int = 32 * 1024 * 1024
    chunk_line_bytes: int = 1024
    trailer_bytes: int = 8 * 1024
    interim_count: int = 16
    empty_lines: int = 2

    @property
    def chunk_overhead_bytes(self) -> int:
        """Bytes that the chunked coding may add to a body: an eighth of the body limit, and a constant for small ones.

        Without it, one-byte chunks with long extensions would make a peer's traffic cost a thousand times its body.
        """
        return self.body_bytes // 8 + _FREE_OVERHEAD_BYTES
