"""The route table: what the fast lane owns, what is found in it, and how what is not is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import CallerFault
from appliance.request.endpoint import (
    ANTHROPIC_MODEL,
    ANTHROPIC_MODELS,
    CHAT,
    COUNT_TOKENS,
    EMBEDDINGS,
    GEMINI_COUNT,
    GEMINI_EMBED,
    GEMINI_MODEL,
    GEMINI_MODELS,
    GENERATE,
    INTERACTION_CANCEL,
    INTERACTION_DELETE,
    INTERACTION_GET,
    INTERACTIONS,
    MESSAGES,
    MODEL,
    MODELS,
    RESPONSE_INPUT,
    RESPONSES,
    Endpoint,
)
from appliance.server.routes import MOUNTS, OWNED, PROBES, ROUTES, dialect_of, find, ours

NO_HEADERS = dict[bytes, bytes]().get


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize(
    ("method", "path", "endpoint", "argument"),
    [
        (b"POST", b"/chat/completions", CHAT, ""),
        (b"POST", b"/responses", RESPONSES, ""),
        (b"POST", b"/embeddings", EMBEDDINGS, ""),
        (b"GET", b"/models", MODELS, ""),
        (b"HEAD", b"/models", MODELS, ""),
        (b"GET", b"/models/gpt-5.4", MODEL, "gpt-5.4"),
        (b"GET", b"/models/openai/gpt-5.4%2Fb%20c", MODEL, "openai/gpt-5.4/b c"),
        (b"GET", b"/models/a/models/b", MODEL, "a/models/b"),
        (b"GET", b"/models/%ff", MODEL, "\ufffd"),
        (b"POST", b"/messages", MESSAGES, ""),
        (b"POST", b"/interactions", INTERACTIONS, ""),
        (b"POST", b"/models/a/b:streamGenerateContent", GENERATE, "a/b:streamGenerateContent"),
        (b"POST", b"/models/a%3AcountTokens", GEMINI_COUNT, "a:countTokens"),
        (b"POST", b"/models/a:batchEmbedContents", GEMINI_EMBED, "a:batchEmbedContents"),
        (b"POST", b"/messages/count_tokens", COUNT_TOKENS, ""),
    ],
)
def test_what_there_is(mount: bytes, method: bytes, path: bytes, endpoint: Endpoint, argument: str) -> None:
    assert ours(mount + path)
    assert find(method, mount + path, NO_HEADERS) == (endpoint, argument)


@pytest.mark.parametrize(
    "path",
    [b"/v1", b"/v1/", b"/v1/chat/completions/", b"/v1//models", b"/V1/models", b"/v1/nothing", b"/v1beta/nothing"],
)
def test_what_there_is_not(path: bytes) -> None:
    with pytest.raises(CallerFault) as fault:
        find(b"GET", path, NO_HEADERS)
    assert fault.value.code == "route_not_found"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        (b"GET", b"/v1/chat/completions", b"POST"),
        (b"HEAD", b"/v1/responses", b"POST"),
        (b"POST", b"/v1/models", b"GET, HEAD"),
        (b"DELETE", b"/api/v1/models/a", b"GET, HEAD"),
        (b"GET", b"/v1beta/models/a:generateContent", b"POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(method: bytes, path: bytes, allow: bytes) -> None:
    with pytest.raises(CallerFault) as fault:
        find(method, path, NO_HEADERS)
    assert (fault.value.code, fault.value.headers) == ("method_not_allowed", ((b"allow", allow),))


def test_the_fast_lane_owns_whole_prefixes() -> None:
    for prefix in OWNED:
        assert ours(prefix + b"/anything/at/all")
        assert ours(prefix) == ours(prefix + b"/") == (prefix != b"/anthropic")  # agents look there whether we are here
        assert not ours(prefix + b"x")
    for path in (b"/", b"/healthz", b"/admin/v1/keys", b"/api", b"/api/v2/models", b"*", b"", b"/%76%31/models"):
        assert not ours(path)


@given(st.binary(max_size=40))
def test_whatever_is_found_is_ours(path: bytes) -> None:
    for mount in (b"", b"/v1/", b"/api/v1/models/"):
        try:
            find(b"GET", mount + path, NO_HEADERS)
        except CallerFault as fault:
            code = fault.code
        else:
            code = ""
        assert code == "route_not_found" or (ours(mount + path) and code in ("", "method_not_allowed"))


def test_each_route_is_listed_once() -> None:
    assert len(set(ROUTES)) == len(ROUTES)
    for method, path in ROUTES:
        if ours(path.encode()):
            find(method.encode(), path.replace("{id}", "one").encode(), NO_HEADERS)


@pytest.mark.parametrize("mount", [b"/v1", b"/api/v1", b"/v1beta"])
def test_what_is_kept_is_found_by_method_and_action(mount: bytes) -> None:
    at = mount + b"/interactions/v1_a-b%3D"
    assert find(b"GET", at, NO_HEADERS) == (INTERACTION_GET, "v1_a-b=")
    assert find(b"DELETE", at, NO_HEADERS) == (INTERACTION_DELETE, "v1_a-b=")
    assert find(b"POST", at + b"/cancel", NO_HEADERS) == (INTERACTION_CANCEL, "v1_a-b=/cancel")
    with pytest.raises(CallerFault) as fault:
        find(b"HEAD", at, NO_HEADERS)
    assert fault.value.headers == ((b"allow", b"DELETE, GET"),)
    if mount != b"/v1beta":
        assert find(b"GET", mount + b"/responses/resp_1/input_items", NO_HEADERS) == (
            RESPONSE_INPUT,
            "resp_1/input_items",
        )


@pytest.mark.parametrize(
    "rest",
    [b"", b"..", b"%2e%2e", b"a%2Fb", b"a%0d%0a", b"a b", b"a/b/cancel", b"a/else", b"a/cancel/", b"%ff", b"a" * 600],
)
def test_an_id_that_could_be_more_than_an_id_is_not_found(rest: bytes) -> None:
    with pytest.raises(CallerFault, match="route_not_found"):
        find(b"GET", b"/v1/responses/" + rest, NO_HEADERS)


def test_anthropics_sdk_gets_its_own_list_of_models() -> None:
    theirs = {b"anthropic-version": b"2023-06-01"}.get
    assert find(b"GET", b"/v1/models", theirs) == (ANTHROPIC_MODELS, "")
    assert find(b"GET", b"/api/v1/models/a/b", theirs) == (ANTHROPIC_MODEL, "a/b")
    assert find(b"HEAD", b"/anthropic/v1/models", NO_HEADERS) == (ANTHROPIC_MODELS, "")
    assert find(b"GET", b"/anthropic/v1/models/c", NO_HEADERS) == (ANTHROPIC_MODEL, "c")
    assert find(b"POST", b"/anthropic/v1/messages", NO_HEADERS) == (MESSAGES, "")


@pytest.mark.parametrize(
    ("path", "family"),
    [
        (b"/v1/chat/completions", "openai"),
        (b"/v1/nothing", "openai"),
        (b"/v1/messages", "anthropic"),
        (b"/api/v1/messages/count_tokens", "anthropic"),
        (b"/anthropic/v1/nothing", "anthropic"),
        (b"/anthropic/v1/models", "anthropic"),
        (b"/v1beta/nothing", "gemini"),
        (b"/v1beta/models/m:generateContent", "gemini"),
        (b"/v1/models/m:generateContent", "gemini"),
        (b"/v1/interactions", "gemini"),
    ],
)
def test_who_is_turned_away_is_told_in_its_own_dialect(path: bytes, family: str) -> None:
    assert dialect_of(path, NO_HEADERS).startswith(family)


def test_the_list_of_models_is_refused_in_the_dialect_of_the_sdk_that_asks() -> None:
    assert dialect_of(b"/v1/models", NO_HEADERS).startswith("openai")
    assert dialect_of(b"/v1/models", {b"anthropic-version": b"2023-06-01"}.get).startswith("anthropic")


def test_probes_belong_to_the_asgi_lane() -> None:
    for method, path in PROBES:
        assert method == "GET"
        assert not ours(path.encode())


def test_googles_paths() -> None:
    theirs = {b"x-goog-api-key": b"x"}.get
    assert find(b"GET", b"/v1/models", theirs) == (GEMINI_MODELS, "")
    assert find(b"GET", b"/v1/models/m", theirs) == (GEMINI_MODEL, "m")
    assert find(b"GET", b"/v1beta/models", NO_HEADERS) == (GEMINI_MODELS, "")
    assert find(b"POST", b"/v1beta/models/m:generateContent", NO_HEADERS) == (GENERATE, "m:generateContent")
    assert find(b"GET", b"/v1/models/ft:gpt:org", NO_HEADERS) == (MODEL, "ft:gpt:org")
    for path in (b"/v1beta/models/m:predict", b"/anthropic/v1/models/m:generateContent"):
        with pytest.raises(CallerFault) as fault:
            find(b"POST", path, NO_HEADERS)
        assert fault.value.code == "method_not_allowed"
