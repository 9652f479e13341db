"""The table of routes: looked up exactly, in both mounts, and never guessed."""

import pytest

from appliance.domain.errors import CallerFault
from appliance.server.routes import INFERENCE, MOUNTS, ROUTES, find, ours


@pytest.mark.parametrize("mount", MOUNTS)
def test_every_inference_route_is_found_in_both_mounts(mount: bytes) -> None:
    for method, path, endpoint in INFERENCE:
        real = mount + path.replace(b"{id}", b"gpt-5.4-mini")
        assert ours(real)
        assert find(method, real) == (endpoint, "gpt-5.4-mini" if b"{id}" in path else "")


@pytest.mark.parametrize(
    ("path", "argument"),
    [(b"openai/gpt-5.4", "openai/gpt-5.4"), (b"a%2Fb", "a/b"), (b"%C3%A4", "ä"), (b"%FF", "\ufffd"), (b"a%", "a%")],
)
def test_the_id_of_a_model_is_decoded_and_may_have_slashes(path: bytes, argument: str) -> None:
    assert find(b"GET", b"/v1/models/" + path)[1] == argument


@pytest.mark.parametrize(
    ("method", "path", "code", "allow"),
    [
        (b"GET", b"/v1/chat/completions", "method_not_allowed", b"POST"),
        (b"HEAD", b"/v1/responses", "method_not_allowed", b"POST"),
        (b"POST", b"/v1/models", "method_not_allowed", b"GET, HEAD"),
        (b"DELETE", b"/v1/models/x", "method_not_allowed", b"GET, HEAD"),
        (b"POST", b"/v1/chat/completions/", "route_not_found", None),
        (b"POST", b"/v1//chat/completions", "route_not_found", None),
        (b"POST", b"/v1/Chat/completions", "route_not_found", None),
        (b"GET", b"/v1", "route_not_found", None),
        (b"GET", b"/anthropic/v1/messages", "route_not_found", None),
    ],
)
def test_what_is_not_there_is_refused(method: bytes, path: bytes, code: str, allow: bytes | None) -> None:
    assert ours(path)
    with pytest.raises(CallerFault) as raised:
        find(method, path)
    assert raised.value.code == code
    assert dict(raised.value.headers).get(b"allow") == allow


def test_head_is_answered_as_get() -> None:
    assert find(b"HEAD", b"/v1/models") == find(b"GET", b"/v1/models")


@pytest.mark.parametrize("path", [b"/", b"/v1x", b"/admin/v1/keys", b"/healthz", b"/apiv1/models", b""])
def test_everything_else_belongs_to_the_other_lane(path: bytes) -> None:
    assert not ours(path)


def test_no_route_is_listed_twice() -> None:
    assert len(ROUTES) == len(set(ROUTES))
