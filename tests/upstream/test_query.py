import pytest

from appliance.upstream.query import with_query


@pytest.mark.parametrize(
    ("path", "query", "whole"),
    [
        (b"/messages", b"beta=true", b"/messages?beta=true"),
        (b"/messages", b"key=sk-sl-x&beta=true", b"/messages?beta=true"),
        (b"/messages", b"KEY=sk-sl-x", b"/messages"),
        (b"/messages", b"key=sk-sl-x&key=again&&", b"/messages"),
        (b"/m:streamGenerateContent?alt=sse", b"alt=json&$alt=x&a=b", b"/m:streamGenerateContent?alt=sse&a=b"),
    ],
)
def test_all_but_the_credential_and_the_framing_passes_on(path: bytes, query: bytes, whole: bytes) -> None:
    assert with_query(path, query) == whole
