"""The table of handlers is the table of routes."""

from appliance.server.admin.table import HANDLERS
from appliance.server.routes import ADMIN, HEALTH

PUBLIC = {("GET", "/healthz"), ("GET", "/docs/errors")}


def test_each_route_has_one_handler_and_each_handler_a_route() -> None:
    handled = [(method, path) for method, path, _, _ in HANDLERS]
    assert len(handled) == len(set(handled))
    assert set(handled) == {*ADMIN, *HEALTH} - PUBLIC


def test_each_handler_says_its_route() -> None:
    for method, path, handler, _ in HANDLERS:
        assert (handler.__doc__ or "").startswith(f"{method} {path}"), handler
