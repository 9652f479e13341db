"""Who asks and for what: everything that can be refused without a provider is refused without one."""

import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio

from appliance.domain.errors import CallerFault
from appliance.domain.identity import ApiKey, Organisation
from appliance.domain.ladder import Step
from appliance.domain.tier import Window
from appliance.policy.access import Access
from appliance.request.admit import INLINE_BYTES, Admitted, Doorkeeper, admit, credential
from appliance.request.bodies import DECOMPRESSIONS, Bodies
from appliance.request.call import Call
from appliance.request.endpoint import CHAT, EMBEDDINGS, Endpoint
from appliance.request.wishes import Wishes
from appliance.settings import Settings
from appliance.store.memory import MemoryDirectory
from appliance.wire import openai_chat

NOW = 1_790_000_000.0


def getter(**headers: bytes) -> Callable[[bytes], bytes | None]:
    table = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return lambda name: table.get(name)


@pytest.mark.parametrize(
    ("headers", "query", "found"),
    [
        ({"authorization": b"Bearer sk-1"}, b"", "sk-1"),
        ({"authorization": b"bearer  sk-1 "}, b"", "sk-1"),
        ({"authorization": b"Basic abc"}, b"", None),
        ({"authorization": b"Basic abc", "x_api_key": b"sk-2"}, b"", "sk-2"),
        ({"authorization": b"Bearer ", "x_goog_api_key": b"sk-3"}, b"", "sk-3"),
        ({"x_api_key": b"sk-2"}, b"key=sk-4", "sk-2"),
        ({}, b"a=b&key=sk-4", "sk-4"),
        ({}, b"monkey=1", None),
        ({}, b"", None),
        ({"authorization": b"Bearer \xff"}, b"", "\xff"),
    ],
)
def test_the_credential_is_found_where_sdks_put_it(headers: dict[str, bytes], query: bytes, found: str | None) -> None:
    assert credential(getter(**headers), query) == found


class Door:
    """A doorkeeper over one key."""

    def __init__(self, **key: Any) -> None:
        self.directory = MemoryDirectory().with_key("key", **key)
        self.keeper = Doorkeeper(self.directory)
        self.token = self.directory.tokens["key"]

    def ask(self, token: str | None = None, address: str | None = "10.0.0.1") -> ApiKey:
        bearer = b"Bearer " + (token or self.token).encode("latin-1")
        return self.keeper.identify(getter(authorization=bearer), b"", address, NOW)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(CallerFault) as caught:
        call()
    return caught.value.code


def test_a_key_is_known_by_its_text() -> None:
    door = Door()
    assert door.ask() is door.directory.keys()[0]
    assert code_of(lambda: door.keeper.identify(getter(), b"", None, NOW)) == "missing_api_key"
    assert code_of(lambda: door.ask(door.token[:-3])) == "invalid_api_key"
    assert code_of(lambda: door.ask("sk-of-another-kind")) == "invalid_api_key"
    assert code_of(lambda: door.ask("sk-sl-\xff\xfe")) == "invalid_api_key"
    other = MemoryDirectory().with_key("a").with_key("b").tokens["b"]
    assert code_of(lambda: door.ask(other)) == "invalid_api_key"


@pytest.mark.parametrize(
    ("key", "address", "code"),
    [
        ({"revoked_unix_s": 1}, "10.0.0.1", "revoked_api_key"),
        ({"expires_unix_s": int(NOW)}, "10.0.0.1", "expired_api_key"),
        ({"kind": "management"}, "10.0.0.1", "wrong_key_kind"),
        ({"addresses": ("10.0.0.0/8",)}, "11.0.0.1", "address_not_allowed"),
        ({"addresses": ("10.0.0.0/8",)}, None, "address_not_allowed"),
    ],
)
def test_restrictions_hold(key: dict[str, Any], address: str | None, code: str) -> None:
    assert code_of(lambda: Door(**key).ask(address=address)) == code


def test_a_key_changed_meanwhile_is_looked_at_again() -> None:
    door = Door()
    key = door.ask()
    assert door.keeper.still(key, None, lambda: NOW).key is key
    door.directory.put_key(msgspec.structs.replace(key, name="renamed"))
    assert door.keeper.still(key, None, lambda: NOW).key.name == "renamed"
    door.directory.revoke("renamed")
    assert code_of(lambda: door.keeper.still(key, None, lambda: NOW)) == "revoked_api_key"
    gone = msgspec.structs.replace(key, public_id="000000000000")
    assert code_of(lambda: door.keeper.still(gone, None, lambda: NOW)) == "invalid_api_key"


async def admitted(
    fields: dict[str, Any],
    *,
    key: dict[str, Any] | None = None,
    preset: dict[str, Any] | None = None,
    endpoint: Endpoint = CHAT,
    organisation: str = "default",
    body: bytes | None = None,
    settings: Settings | None = None,
    **headers: bytes,
) -> Admitted:
    directory = MemoryDirectory(Organisation("org_test", "test", start_within=organisation)).with_key(**(key or {}))
    if preset is not None:
        directory.with_preset("night", **preset)
    asking = directory.keys()[0]
    call = Call(
        endpoint=endpoint,
        argument="",
        method=b"POST",
        path=b"/v1/chat/completions",
        query=b"",
        headers=[],
        get=getter(**headers),
        body=body if body is not None else msgspec.json.encode({"model": "m", "messages": []} | fields),
        key=asking,
        peer=None,
        reply=None,  # type: ignore[arg-type]
        scope=trio.CancelScope(),
        request_id="req",
        arrived_s=0.0,
        at_unix_us=0,
    )
    settings = settings or Settings()
    wishes = Wishes(directory, settings)
    return await admit(call, openai_chat, wishes, Access(asking), settings, Bodies(2**30))


@pytest.mark.parametrize(
    ("fields", "facts", "wish", "passed"),
    [
        ({}, {}, "default", None),
        ({}, {"organisation": "flex"}, "flex", None),
        ({}, {"organisation": "flex", "key": {"start_within": "30s"}}, Window(30.0), None),
        ({"start_within": "1m30s"}, {"organisation": "flex"}, Window(90.0), None),
        ({}, {"x_start_within": b"45"}, Window(45.0), None),
        ({"start_within": 20}, {"x_start_within": b"45"}, Window(20.0), None),
        ({"service_tier": "priority"}, {"key": {"start_within": "30s"}}, "priority", None),
        ({"service_tier": "scale"}, {"key": {"start_within": "30s"}}, "default", "scale"),
    ],
)
async def test_the_wish_is_the_requests_then_the_keys_then_the_organisations(
    fields: dict[str, Any], facts: dict[str, Any], wish: object, passed: str | None
) -> None:
    found = await admitted(fields, **facts)
    assert (found.wish, found.passed_tier) == (wish, passed)


@pytest.mark.parametrize(
    ("fields", "facts", "code"),
    [
        ({"start_within": "0.5s"}, {}, "invalid_start_within"),
        ({"start_within": "16m"}, {}, "invalid_start_within"),
        ({"start_within": "30s", "service_tier": "flex"}, {}, "service_tier_not_allowed"),
        ({"service_tier": "x" * 65}, {}, "bad_request"),
        ({"model": "gpt"}, {"key": {"models": ["other"]}}, "model_not_allowed"),
        ({}, {"body": b"{"}, "bad_json"),
        ({}, {"content_encoding": b"snappy"}, "unsupported_encoding"),
        ({}, {"content_encoding": b"gzip"}, "bad_request"),
    ],
)
async def test_what_can_be_refused_is(fields: dict[str, Any], facts: dict[str, Any], code: str) -> None:
    with pytest.raises(CallerFault) as caught:
        await admitted(fields, **facts)
    assert caught.value.code == code


LADDER = ["a/m:flex", "b/n"]
STEPS = (Step("a", "m", "flex"), Step("b", "n"))


@pytest.mark.parametrize(
    ("fields", "facts", "found"),
    [
        # model, wish, ladder, preset, by default
        ({"model": "@preset/night"}, {"preset": {"model": "p/x"}}, ("p/x", "default", None, "night", True)),
        ({"preset": "night"}, {"preset": {"start_within": "9s"}}, ("m", Window(9.0), None, "night", True)),
        (
            {"model": "@preset/night", "start_within": "4s"}, {"preset": {"ladder": LADDER, "start_within": "9s"}},
            ("", Window(4.0), STEPS, "night", False),
        ),
        (  # a model that is named beside the preset goes before the preset's model, and its ladder
            {"model": "p/y@preset/night"}, {"preset": {"model": "p/x", "ladder": LADDER, "start_within": "9s"}},
            ("p/y", Window(9.0), None, "night", True),
        ),
        ({"preset": "night"}, {"preset": {"ladder": LADDER}}, ("m", "default", STEPS, "night", True)),
        ({}, {"preset": {"ladder": LADDER}, "key": {"preset": "night"}}, ("m", "default", STEPS, "night", True)),
        ({}, {"key": {"ladder": LADDER}}, ("m", "default", STEPS, None, True)),
        ({"service_tier": "priority"}, {"key": {"ladder": LADDER}}, ("m", "priority", None, None, False)),
        ({"service_tier": "scale"}, {"key": {"ladder": LADDER}}, ("m", "default", None, None, False)),
        ({"ladder": LADDER, "finish_within": 60}, {}, ("m", Window(60.0, 0.99, 60.0), STEPS, None, False)),
        ({}, {"x_finish_within": b"2m", "x_start_target": b"90%"}, ("m", Window(120.0, 0.9, 120.0), None, None, False)),
        ({"start_within": 9}, {"key": {"start_within": "1h"}}, ("m", Window(9.0), None, None, False)),
    ],
)  # fmt: skip
async def test_presets_and_ladders_are_found(
    fields: dict[str, Any], facts: dict[str, Any], found: tuple[Any, ...]
) -> None:
    got = await admitted(fields, **facts)
    assert (got.model, got.wish, got.ladder, got.preset, got.by_default) == found


@pytest.mark.parametrize(
    ("fields", "facts", "code"),
    [
        ({"preset": "nigth"}, {"preset": {}}, "preset_not_found"),
        ({"model": "@preset/"}, {"preset": {}}, "preset_not_found"),
        ({"model": "gpt-5@preset/other"}, {"preset": {}}, "preset_not_found"),
        ({"start_within": "9s"}, {"key": {"preset": "gone"}}, "preset_not_found"),
        ({"model": "@preset/night"}, {"preset": {}}, "missing_model"),
        ({"model": "@preset/night"}, {"preset": {"ladder": LADDER}, "endpoint": EMBEDDINGS}, "missing_model"),
        ({"finish_within": "2h"}, {}, "invalid_finish_within"),
        ({"finish_within": 60, "service_tier": "flex"}, {}, "service_tier_not_allowed"),
        ({"ladder": LADDER, "service_tier": "scale"}, {}, "service_tier_not_allowed"),
        ({}, {"key": {"start_within": "1h"}}, "invalid_start_within"),
        # what a key may not ask for it may not ask for by another name
        ({"ladder": LADDER}, {"key": {"models": ["m"]}}, "model_not_allowed"),
        ({"preset": "night"}, {"key": {"models": ["m"]}, "preset": {"ladder": LADDER}}, "model_not_allowed"),
        ({"model": "@preset/night"}, {"key": {"models": ["m"]}, "preset": {"model": "x"}}, "model_not_allowed"),
        ({"model": "x@preset/night"}, {"key": {"models": ["m", "@preset/*"]}, "preset": {}}, "model_not_allowed"),
    ],
)
async def test_presets_and_ladders_that_cannot_be_used(
    fields: dict[str, Any], facts: dict[str, Any], code: str
) -> None:
    with pytest.raises(CallerFault) as caught:
        await admitted(fields, **facts)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("fields", "facts"),
    [
        ({"ladder": LADDER}, {"key": {"models": ["m", "b/*"]}}),
        ({"model": "@preset/night"}, {"key": {"models": ["@preset/night"]}, "preset": {"ladder": LADDER}}),
        ({"model": "@preset/night"}, {"key": {"models": ["x"]}, "preset": {"model": "x"}}),
        ({}, {"key": {"models": ["m"], "ladder": LADDER}}),
    ],
)
async def test_presets_and_ladders_that_a_key_may_use(fields: dict[str, Any], facts: dict[str, Any]) -> None:
    assert (await admitted(fields, **facts)).model in ("m", "x", "")


async def test_how_long_a_window_may_be_is_a_setting() -> None:
    wide = Settings(start_within_least_s=0.02, start_within_most_s=3600.0)
    for text, seconds in (("0.05s", 0.05), ("30m", 1800.0)):
        assert (await admitted({"start_within": text}, settings=wide)).wish == Window(seconds)
    for text in ("0.01s", "2h"):
        with pytest.raises(CallerFault) as caught:
            await admitted({"start_within": text}, settings=wide)
        assert caught.value.code == "invalid_start_within"


@pytest.mark.parametrize("size", [10, INLINE_BYTES], ids=["at once", "in a thread"])
async def test_a_compressed_body_is_read(size: int) -> None:
    noise = "".join(chr(33 + (at * at * 7919 + at) % 90) for at in range(size)).replace('"', "a").replace("\\", "b")
    body = zlib.compress(msgspec.json.encode({"model": "m", "messages": [], "user": noise}), 0)
    found = await admitted({}, body=body, content_encoding=b"deflate")
    assert found.asked.model == "m"


async def test_a_few_bytes_that_stand_for_many_are_decompressed_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    threads = trio.to_thread.run_sync

    async def watched(function: Any, encoding: bytes, body: bytes, limit: int, *, limiter: Any) -> Any:
        asked.append(len(body))
        assert limiter.total_tokens == DECOMPRESSIONS
        return await threads(function, encoding, body, limit, limiter=limiter)

    monkeypatch.setattr(trio.to_thread, "run_sync", watched)
    small, big = (
        zlib.compress(msgspec.json.encode({"model": "m", "messages": [], "user": "x" * size}))
        for size in (10, INLINE_BYTES)
    )
    assert len(big) < 1000
    for body in (small, big):
        assert (await admitted({}, body=body, content_encoding=b"deflate")).asked.model == "m"
    assert asked == [len(big)]
