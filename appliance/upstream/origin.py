"""Where a provider is: its base URL taken apart. The rule: a base URL is checked once, when it is configured."""

from typing import NamedTuple
from urllib.parse import urlsplit


class Origin(NamedTuple):
    """What a connection is opened to, and what the pool files it under.

    `public_only`: to a public address alone. Such a connection is never shared with one that may go anywhere. `proxy`:
    host and port of the HTTP proxy to go through.
    """

    scheme: str
    host: str
    port: int
    public_only: bool = False
    proxy: tuple[str, int] | None = None


class Base(NamedTuple):
    """A base URL: where to connect, the Host header, and the path before an endpoint's own."""

    origin: Origin
    authority: bytes
    prefix: bytes


def parse_base_url(url: str) -> Base:
    """Take a base URL apart. Raises ValueError with a sentence for the operator."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the base URL is malformed") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a base URL begins with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("a base URL has no user, password, query or fragment; secrets are given apart")
    if not url.isascii() or any(character <= " " for character in url):
        raise ValueError("a base URL is plain ASCII without spaces")
    default = 443 if parts.scheme == "https" else 80
    authority = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port not in (None, default):
        authority += f":{port}"
    return Base(
        Origin(parts.scheme, parts.hostname, port or default), authority.encode(), parts.path.rstrip("/").encode()
    )


def parse_proxy(url: str) -> tuple[str, int]:
    """Host and port of an HTTP proxy. Raises ValueError with a sentence for the operator."""
    base = parse_base_url(url)
    if base.origin.scheme != "http" or base.prefix:
        raise ValueError("a proxy is given as http://host:port")
    return base.origin.host, base.origin.port
