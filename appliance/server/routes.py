"""Every route in one table; the inference routes for both lanes. The rule: a path is looked up, never guessed.

The fast lane owns whole prefixes, their 404s included; everything else belongs to the ASGI lane.
"""

from urllib.parse import unquote_to_bytes

from appliance.domain.errors import CallerFault
from appliance.request.endpoint import CHAT, EMBEDDINGS, MODEL, MODELS, RESPONSES, Endpoint

MOUNTS = (b"/v1", b"/api/v1")
OWNED = (b"/v1", b"/api/v1", b"/anthropic", b"/v1beta")

INFERENCE: tuple[tuple[bytes, bytes, Endpoint], ...] = (
    (b"POST", b"/chat/completions", CHAT),
    (b"POST", b"/responses", RESPONSES),
    (b"POST", b"/embeddings", EMBEDDINGS),
    (b"GET", b"/models", MODELS),
    (b"GET", b"/models/{id}", MODEL),  # the id may contain slashes: provider/model
)

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
    ("POST", "/admin/v1/keys/{id}/rotate"),
    ("POST", "/admin/v1/keys/{id}/revoke"),
    ("GET", "/admin/v1/providers"),
    ("POST", "/admin/v1/providers"),
    ("GET", "/admin/v1/providers/{name}"),
    ("DELETE", "/admin/v1/providers/{name}"),
    ("POST", "/admin/v1/providers/{name}/test"),
    ("GET", "/admin/v1/models"),
    ("GET", "/admin/v1/usage"),
    ("GET", "/admin/v1/usage/{request_id}"),
    ("GET", "/admin/v1/archive/verify"),
)

ROUTES: tuple[tuple[str, str], ...] = (
    *((method.decode(), (mount + path).decode()) for mount in MOUNTS for method, path, _ in INFERENCE),
    *HEALTH,
    *ADMIN,
)
"""Every route there is, by method and path; the documentation and the application are tested against it."""

_EXACT = {mount + path: (method, endpoint) for mount in MOUNTS for method, path, endpoint in INFERENCE}
_MODEL_PREFIXES = tuple(mount + b"/models/" for mount in MOUNTS)
_OWNED_PREFIXES = tuple(prefix + b"/" for prefix in OWNED)


def ours(path: bytes) -> bool:
    """Whether the fast lane answers this path, be it with a 404."""
    return path in _EXACT or path.startswith(_OWNED_PREFIXES) or path in OWNED


def find(method: bytes, path: bytes) -> tuple[Endpoint, str]:
    """The endpoint of a request, and the `{id}` of its path ("" if there is none).

    Raises CallerFault route_not_found or method_not_allowed (with its Allow header). HEAD is answered as GET.
    """
    found = _EXACT.get(path)
    argument = ""
    if found is None:
        if not path.startswith(_MODEL_PREFIXES):
            raise CallerFault("route_not_found")
        argument = unquote_to_bytes(path.split(b"/models/", 1)[1]).decode("utf-8", "replace")
        found = (b"GET", MODEL)
    wanted, endpoint = found
    if method != wanted and not (method == b"HEAD" and wanted == b"GET"):
        allow = b"GET, HEAD" if wanted == b"GET" else wanted
        raise CallerFault("method_not_allowed", headers=((b"allow", allow),))
    return endpoint, argument
