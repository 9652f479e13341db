"""Which handler answers which admin route. The rule: the same paths as ADMIN in server/routes.py, each exactly once."""

from starlette.routing import Route

from appliance.server.admin import archive, health, keys, models, organisations, presets, providers, usage
from appliance.server.admin.desk import Desk, Handler, endpoint

HANDLERS: tuple[tuple[str, str, Handler, int], ...] = (
    ("GET", "/readyz", health.readiness, 200),
    ("GET", "/metrics", health.exposition, 200),
    ("GET", "/admin/v1/health", health.show_health, 200),
    ("GET", "/admin/v1/organisations", organisations.list_organisations, 200),
    ("POST", "/admin/v1/organisations", organisations.create_organisation, 201),
    ("PATCH", "/admin/v1/organisations/{organisation}", organisations.change_organisation, 200),
    ("GET", "/admin/v1/keys", keys.list_keys, 200),
    ("POST", "/admin/v1/keys", keys.create_key, 201),
    ("GET", "/admin/v1/keys/{id}", keys.show_key, 200),
    ("PATCH", "/admin/v1/keys/{id}", keys.change_key, 200),
    ("POST", "/admin/v1/keys/{id}/rotate", keys.rotate_key, 201),
    ("POST", "/admin/v1/keys/{id}/revoke", keys.revoke_key, 200),
    ("GET", "/admin/v1/presets", presets.list_presets, 200),
    ("POST", "/admin/v1/presets", presets.add_preset, 201),
    ("GET", "/admin/v1/presets/{name}", presets.show_preset, 200),
    ("PATCH", "/admin/v1/presets/{name}", presets.change_preset, 200),
    ("DELETE", "/admin/v1/presets/{name}", presets.remove_preset, 200),
    ("GET", "/admin/v1/providers", providers.list_providers, 200),
    ("POST", "/admin/v1/providers", providers.add_provider, 201),
    ("GET", "/admin/v1/providers/{name}", providers.show_provider, 200),
    ("PATCH", "/admin/v1/providers/{name}", providers.set_provider, 200),
    ("DELETE", "/admin/v1/providers/{name}", providers.remove_provider, 200),
    ("POST", "/admin/v1/providers/{name}/test", providers.test_provider, 200),
    ("GET", "/admin/v1/profiles", providers.list_profiles, 200),
    ("GET", "/admin/v1/models", models.list_models, 200),
    ("GET", "/admin/v1/usage", usage.show_usage, 200),
    ("GET", "/admin/v1/usage/{request_id}", usage.show_request, 200),
    ("GET", "/admin/v1/archive/verify", archive.verify_archive, 200),
)
"""Method, path, handler, status of success."""


def admin_routes(desk: Desk) -> list[Route]:
    """The Starlette routes."""
    return [
        Route(path, endpoint(desk, handler, status), methods=[method]) for method, path, handler, status in HANDLERS
    ]
