"""The request headers and fields that a gateway must keep to itself.

Rule: they are told by name and never quoted; the header in which a provider's own key comes is not one of them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

_FORBIDDEN: Final = frozenset(
    ("cookie", "x-api-key", "x-goog-api-key", "x-start-within", "x-start-target", "x-finish-within",
     "proxy-authorization", "proxy-connection", "forwarded",
     "te", "upgrade", "http2-settings", "keep-alive", "x-real-ip", "via")
)  # fmt: skip
_FORBIDDEN_PREFIXES: Final = ("x-startline", "x-forwarded-")
_GATEWAY_KEYS: Final = ("sk-sl-", "mk-sl-")
_OURS: Final = frozenset({"start_within", "start_target", "finish_within", "ladder", "preset"})


def forbidden(
    headers: Iterable[tuple[str, str]], body: Mapping[str, Any], own: frozenset[str] = frozenset(), target: str = ""
) -> list[str]:
    """What arrived that a gateway must not pass on: names of headers, `NAME: gateway key` for a key of the gateway
    itself, `body.FIELD` for its own fields in the body. `own` are the headers in which the provider's key may come.
    """
    found = ["target: gateway key"] if any(prefix in target for prefix in _GATEWAY_KEYS) else []
    for name, value in headers:
        if name not in own and (name in _FORBIDDEN or name.startswith(_FORBIDDEN_PREFIXES)):
            found.append(name)
        if any(prefix in value for prefix in _GATEWAY_KEYS):
            found.append(f"{name}: gateway key")
    return found + [f"body.{field}" for field in body if is_gateway_field(field)]


def is_gateway_field(field: str) -> bool:
    """Whether a top-level field of a body belongs to the gateway; OpenAI would refuse it as unknown."""
    return field in _OURS or field.startswith("startline")
