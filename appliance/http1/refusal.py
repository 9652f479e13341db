"""What the HTTP/1.1 layer raises.

The rule: a code is stable and documented, and no message ever contains bytes that the peer sent.
"""

CODES: frozenset[str] = frozenset(
    {
        "bad_chunk",  # chunk size, extension or the CRLF after a chunk is malformed
        "bad_expectation",  # an Expect other than 100-continue
        "bad_framing",  # content-length and transfer-encoding contradict each other, repeat or are malformed
        "bad_header",  # a header line that is no header line: folding, control bytes, space before the colon
        "bad_host",  # Host repeated, empty or malformed
        "bad_line_ending",  # a start line that ends in a bare LF, or too many empty lines before it
        "bad_request_line",
        "bad_status_line",
        "bad_target",
        "bad_trailer",
        "body_too_large",
        "chunk_overhead",  # the chunked coding takes more bytes than its share
        "head_too_large",
        "method_not_implemented",
        "missing_host",
        "too_many_headers",
        "too_many_interim",  # 1xx without end
        "trailers_too_large",
        "unexpected_upgrade",  # 101 to a request that asked for no upgrade
        "unsupported_transfer_encoding",
        "unsupported_version",
    }
)


class ProtocolRefusal(Exception):
    """The peer broke HTTP/1.1 or a limit; the connection is of no further use.

    `status` is what a server answers (on the client side always 502), `code` is one of `CODES`, `detail` is a
    sentence for people that never quotes the peer.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class TruncatedBody(Exception):
    """The peer closed before its message was complete; `phase` is `"head"` or `"body"`."""

    def __init__(self, phase: str) -> None:
        super().__init__(phase)
        self.phase = phase

    def __str__(self) -> str:
        return f"connection closed within the {self.phase}"
