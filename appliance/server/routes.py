"""Every route in one table; the inference routes for both lanes. The rule: a path is looked up, never guessed.

The fast lane owns whole prefixes, their 404s included; everything else belongs to the ASGI lane.
"""

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from appliance.domain.errors import CallerFault
from appliance.request.endpoint import (
    ANTHROPIC_MODEL,
    ANTHROPIC_MODELS,
    ANTHROPIC_REQUEST,
    CHAT,
    COUNT_TOKENS,
    EMBEDDINGS,
    EXPLAIN,
    GEMINI_ACTIONS,
    GEMINI_MODEL,
    GEMINI_MODELS,
    GEMINI_REQUEST,
    INTERACTION_CANCEL,
    INTERACTION_DELETE,
    INTERACTION_GET,
    INTERACTIONS,
    MESSAGES,
    MODEL,
    MODELS,
    REQUEST,
    RESPONSE_CANCEL,
    RESPONSE_DELETE,
    RESPONSE_GET,
    RESPONSE_INPUT,
    RESPONSES,
    Endpoint,
)

MOUNTS = (b"/v1", b"/api/v1")
ANTHROPIC_MOUNTS = (b"/anthropic/v1",)
GEMINI_MOUNTS = (b"/v1beta",)
OWNED = (b"/v1", b"/api/v1", b"/anthropic", b"/v1beta")

_Row = tuple[tuple[bytes, ...], bytes, bytes, Endpoint]
INFERENCE: tuple[_Row, ...] = (
    (MOUNTS, b"POST", b"/chat/completions", CHAT),
    (MOUNTS, b"POST", b"/responses", RESPONSES),
    (MOUNTS, b"GET", b"/responses/{id}", RESPONSE_GET),
    (MOUNTS, b"DELETE", b"/responses/{id}", RESPONSE_DELETE),
    (MOUNTS, b"POST", b"/responses/{id}/cancel", RESPONSE_CANCEL),
    (MOUNTS, b"GET", b"/responses/{id}/input_items", RESPONSE_INPUT),
    (MOUNTS, b"POST", b"/embeddings", EMBEDDINGS),
    (MOUNTS, b"GET", b"/requests/{id}", REQUEST),
    (MOUNTS, b"POST", b"/explain", EXPLAIN),
    (MOUNTS, b"GET", b"/models", MODELS),
    (MOUNTS, b"GET", b"/models/{id}", MODEL),  # the id may contain slashes: provider/model
    (MOUNTS + ANTHROPIC_MOUNTS, b"POST", b"/messages", MESSAGES),
    (MOUNTS + ANTHROPIC_MOUNTS, b"POST", b"/messages/count_tokens", COUNT_TOKENS),
    (ANTHROPIC_MOUNTS, b"GET", b"/models", ANTHROPIC_MODELS),
    (ANTHROPIC_MOUNTS, b"GET", b"/models/{id}", ANTHROPIC_MODEL),
    (MOUNTS + GEMINI_MOUNTS, b"POST", b"/interactions", INTERACTIONS),
    (MOUNTS + GEMINI_MOUNTS, b"GET", b"/interactions/{id}", INTERACTION_GET),
    (MOUNTS + GEMINI_MOUNTS, b"DELETE", b"/interactions/{id}", INTERACTION_DELETE),
    (MOUNTS + GEMINI_MOUNTS, b"POST", b"/interactions/{id}/cancel", INTERACTION_CANCEL),
    (GEMINI_MOUNTS, b"GET", b"/models", GEMINI_MODELS),
    (GEMINI_MOUNTS, b"GET", b"/models/{id}", GEMINI_MODEL),
    *((MOUNTS + GEMINI_MOUNTS, b"POST", b"/models/{id}:" + name.encode(), one) for name, one in GEMINI_ACTIONS.items()),
)
"""(mounts, method, path, endpoint); where an OpenAI list of models is, other SDKs get theirs by their headers."""

PROBES: tuple[tuple[str, str], ...] = (
    ("GET", "/"),
    ("GET", "/api/hello"),
    ("GET", "/anthropic"),
    ("GET", "/anthropic/"),
    ("GET", "/anthropic/api/hello"),
)
"""What agents ask before their first call, to see whether anybody is there: answered to anyone, by the ASGI lane."""

HEALTH: tuple[tuple[str, str], ...] = (
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/docs/errors"),
)

ADMIN: tuple[tuple[str, str], ...] = (
    ("GET", "/admin/v1/health"),
    ("GET", "/admin/v1/organisations"),
    ("POST", "/admin/v1/organisations"),
    ("PATCH", "/admin/v1/organisations/{organisation}"),
    ("GET", "/admin/v1/keys"),
    ("POST", "/admin/v1/keys"),
    ("GET", "/admin/v1/keys/{id}"),
    ("PATCH", "/admin/v1/keys/{id}"),
    ("POST", "/admin/v1/keys/{id}/rotate"),
    ("POST", "/admin/v1/keys/{id}/revoke"),
    ("GET", "/admin/v1/presets"),
    ("POST", "/admin/v1/presets"),
    ("GET", "/admin/v1/presets/{name}"),
    ("PATCH", "/admin/v1/presets/{name}"),
    ("DELETE", "/admin/v1/presets/{name}"),
    ("GET", "/admin/v1/providers"),
    ("POST", "/admin/v1/providers"),
    ("GET", "/admin/v1/providers/{name}"),
    ("PATCH", "/admin/v1/providers/{name}"),
    ("DELETE", "/admin/v1/providers/{name}"),
    ("POST", "/admin/v1/providers/{name}/test"),
    ("GET", "/admin/v1/profiles"),
    ("GET", "/admin/v1/models"),
    ("GET", "/admin/v1/usage"),
    ("GET", "/admin/v1/usage/{request_id}"),
    ("GET", "/admin/v1/archive/verify"),
)

ROUTES: tuple[tuple[str, str], ...] = (
    *(
        (method.decode(), (mount + path).decode())
        for mount in dict.fromkeys(mount for mounts, *_ in INFERENCE for mount in mounts)
        for mounts, method, path, _ in INFERENCE
        if mount in mounts
    ),
    *PROBES,
    *HEALTH,
    *ADMIN,
)
"""Every route there is, by method and path; the documentation and the application are tested against it."""

_EXACT = {
    mount + path: (method, endpoint)
    for mounts, method, path, endpoint in INFERENCE
    if b"{" not in path
    for mount in mounts
}
_KEPT = {
    mount + path: {method: one for _, method, same, one in INFERENCE if same == path}
    for mounts, _, path, endpoint in INFERENCE
    if endpoint.kept or endpoint is REQUEST
    for mount in mounts
}
_KEPT_PATH = re.compile(
    rb"(/(?:v1|api/v1|v1beta)/(?:interactions|responses|requests))/([^/]+)((?:/[a-z_]+)?)", re.ASCII
)
_KEPT_ID = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9_.~:=-]{0,255}", re.ASCII)
"""What an id of something kept looks like: it becomes a part of a path at the provider. Ids of requests fit it too."""
_MODEL_PREFIXES = {
    mount + b"/models/": endpoint
    for mounts, _, path, endpoint in INFERENCE
    if path == b"/models/{id}"
    for mount in mounts
}
_OWNED_PREFIXES = tuple(prefix + b"/" for prefix in OWNED)
_PROBED = frozenset(path.encode() for _, path in PROBES)

_LISTS = {
    "openai": (MODELS, MODEL),
    "anthropic": (ANTHROPIC_MODELS, ANTHROPIC_MODEL),
    "gemini": (GEMINI_MODELS, GEMINI_MODEL),
}

_REQUESTS = {"openai": REQUEST, "anthropic": ANTHROPIC_REQUEST, "gemini": GEMINI_REQUEST}

Get = Callable[[bytes], bytes | None]
"""The value of a header by its lower-case name, or None."""


def ours(path: bytes) -> bool:
    """Whether the fast lane answers this path, be it with a 404."""
    return path in _EXACT or ((path.startswith(_OWNED_PREFIXES) or path in OWNED) and path not in _PROBED)


def find(method: bytes, path: bytes, get: Get) -> tuple[Endpoint, str]:
    """The endpoint of a request, and the `{id}` of its path ("" if there is none).

    Raises CallerFault route_not_found or method_not_allowed (with its Allow header). HEAD is answered as GET.
    """
    found = _EXACT.get(path)
    argument = ""
    if found is None:
        mount, models, rest = path.partition(b"/models/")
        one = _MODEL_PREFIXES.get(mount + models)
        if one is None:
            endpoint, argument = _find_kept(method, path)
            return (_REQUESTS[_family(get, b"")] if endpoint is REQUEST else endpoint), argument
        argument = unquote_to_bytes(rest).decode("utf-8", "replace")
        act = GEMINI_ACTIONS.get(argument.rpartition(":")[2])
        found = (b"GET", one) if act is None or one is ANTHROPIC_MODEL else (b"POST", act)
    wanted, endpoint = found
    if endpoint is MODELS or endpoint is MODEL:
        endpoint = _LISTS[_family(get, b"")][bool(argument)]
    if method != wanted and not (method == b"HEAD" and wanted == b"GET"):
        allow = b"GET, HEAD" if wanted == b"GET" else wanted
        raise CallerFault("method_not_allowed", headers=((b"allow", allow),))
    return endpoint, argument


def _find_kept(method: bytes, path: bytes) -> tuple[Endpoint, str]:
    """What a path with an id stands for; the argument is the id, with the action behind it."""
    read = _KEPT_PATH.fullmatch(path)
    rows = _KEPT.get(read[1] + b"/{id}" + read[3]) if read is not None else None
    if read is None or rows is None:
        raise CallerFault("route_not_found")
    kept = unquote_to_bytes(read[2])
    if method == b"POST" and not read[3]:
        raise CallerFault("route_not_found")  # a collection's own action, such as /responses/compact
    if method == b"HEAD" and rows.get(b"GET") is REQUEST:
        method = b"GET"
    if method not in rows:
        raise CallerFault("method_not_allowed", headers=((b"allow", b", ".join(sorted(rows))),))
    if not _KEPT_ID.fullmatch(kept):
        raise CallerFault("route_not_found")
    return rows[method], (kept + read[3]).decode()


def dialect_of(path: bytes, get: Get) -> str:
    """The dialect in which a request is turned away that never became a call."""
    found = _EXACT.get(path)
    if found is not None and found[1] is not MODELS:
        return found[1].dialect
    return f"{_family(get, path)}_models"


def dialect_of_path(path: bytes) -> str:
    """The same where the head was not understood and only its path is there (b"": not even that)."""
    return dialect_of(path, lambda _: None) if ours(path) else "openai_chat"


def _family(get: Get, path: bytes) -> str:
    """Whose SDK asks: by the path if it tells, else by a header that the others do not send."""
    if path.startswith(b"/anthropic") or get(b"anthropic-version") is not None:
        return "anthropic"
    if path.startswith(b"/v1beta") or get(b"x-goog-api-key") is not None:
        return "gemini"
    return (
        "gemini" if b"/models/" in path and path.rpartition(b":")[2].decode("latin-1") in GEMINI_ACTIONS else "openai"
    )
