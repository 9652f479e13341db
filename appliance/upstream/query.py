"""The query of a call, as far as the provider gets it. The rule: never the credential, and only bytes that are safe.

`?beta=true` and the like pass on; `key` is how a client of Gemini gives its API key of Startline, and `alt` says how a
stream is framed, which the dialect sets itself.
"""

OURS = frozenset({b"key", b"alt", b"%24alt", b"$alt"})


def with_query(path: bytes, query: bytes) -> bytes:
    """`path` with what of the client's query passes on."""
    kept = [pair for pair in query.split(b"&") if pair and pair.partition(b"=")[0].lower() not in OURS]
    if not kept:
        return path
    return path + (b"&" if b"?" in path else b"?") + b"&".join(kept)
