"""Base URLs, taken apart."""

import pytest

from appliance.upstream.origin import parse_base_url, parse_proxy


@pytest.mark.parametrize(
    ("url", "origin", "authority", "prefix"),
    [
        ("https://api.openai.com/v1", ("https", "api.openai.com", 443), b"api.openai.com", b"/v1"),
        ("https://API.OpenAI.com:443/v1/", ("https", "api.openai.com", 443), b"api.openai.com", b"/v1"),
        ("http://127.0.0.1:8080", ("http", "127.0.0.1", 8080), b"127.0.0.1:8080", b""),
        ("http://[::1]:8080/a/b", ("http", "::1", 8080), b"[::1]:8080", b"/a/b"),
        ("http://host", ("http", "host", 80), b"host", b""),
    ],
)
def test_parts(url: str, origin: tuple[str, str, int], authority: bytes, prefix: bytes) -> None:
    assert parse_base_url(url) == ((*origin, False, None), authority, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "", "api.openai.com", "ftp://host", "file:///etc/passwd", "https://", "https:///v1", "https://u:p@host",
        "https://u@host", "https://host/v1?key=a", "https://host/#a", "https://host:99999", "https://host:a",
        "https://ho st", "https://host/\r\nx: y", "https://höst", "https://[::1", "https://host/a b",
    ],
)  # fmt: skip
def test_what_is_no_base_url(url: str) -> None:
    with pytest.raises(ValueError):
        parse_base_url(url)


def test_a_proxy_is_host_and_port() -> None:
    assert parse_proxy("http://proxy.test:3128") == ("proxy.test", 3128)
    assert parse_proxy("http://[::1]/") == ("::1", 80)
    for wrong in (
        "proxy.test:3128",
        "https://proxy.test",
        "socks5://proxy.test",
        "http://u:p@proxy.test",
        "http://p/x",
    ):
        with pytest.raises(ValueError):
            parse_proxy(wrong)
