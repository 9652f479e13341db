"""Providers: add, list, show, set, test, remove. The rule: a credential goes in and never comes out.

A base URL makes this process connect to an address of somebody's choice. One that the operator did not set must be
https, is reached at public addresses alone (net/dial.py judges the address that is connected to), and never gets a
credential that was stored for another place.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import trio
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request

from appliance.domain.catalog import AbortBilling, Provider, ProviderKind
from appliance.domain.errors import CallerFault, UpstreamFault
from appliance.domain.profile import NOTHING_KNOWN, Profile
from appliance.policy.public_address import is_address, is_odd_host, is_public
from appliance.server.admin.desk import Caller, Desk, read_body, view
from appliance.upstream.model_list import fetch_models
from appliance.upstream.origin import parse_base_url, parse_proxy

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,4096}", re.ASCII)
_RESERVED_HEADERS = frozenset(
    "authorization host content-length content-type transfer-encoding connection accept-encoding te upgrade".split()
)
_SECRET_HEADERS = frozenset("api-key x-api-key x-goog-api-key apikey cookie proxy-authorization x-auth-token".split())
"""Headers are stored as they are and given on the command line; credentials are neither."""
Text = Annotated[str, Meta(min_length=1, max_length=200)]


class NewProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /admin/v1/providers` takes. What is left out is the profile's: the named one, or that of the name.

    `any_model`: do not keep the list of models, pass any id on. `public_only` None: as it must be for the caller.
    """

    name: str
    profile: Text | None = None
    kind: ProviderKind | None = None
    organisation: str | None = None
    base_url: Annotated[str, Meta(max_length=2000)] | None = None
    tiers: tuple[Text, ...] | None = None
    models: tuple[Text, ...] | None = None
    any_model: bool = False
    price_as: Annotated[str, Meta(max_length=64)] | None = None
    headers: dict[str, str] = {}
    auth: Annotated[str, Meta(max_length=64)] | None = None
    stream_options: bool | None = None
    abort_billing: AbortBilling | None = None
    position: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    secret: Annotated[str, Meta(max_length=10_000)] = ""
    public_only: bool | None = None
    proxy: Annotated[str, Meta(max_length=2000)] = ""


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `PATCH /admin/v1/providers/{name}` takes; what is left out stays as it is.

    `models` null: ask the provider for them at the next test. `secret`: a new credential.
    """

    base_url: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET
    tiers: tuple[Text, ...] | UnsetType = UNSET
    models: tuple[Text, ...] | UnsetType | None = UNSET
    any_model: bool | UnsetType = UNSET
    price_as: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    stream_options: bool | UnsetType = UNSET
    abort_billing: AbortBilling | UnsetType = UNSET
    position: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    public_only: bool | UnsetType = UNSET
    proxy: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET
    secret: Annotated[str, Meta(min_length=1, max_length=10_000)] | UnsetType = UNSET


def provider_view(desk: Desk, provider: Provider) -> dict[str, Any]:
    """A provider without its credential; of extra headers the names; of its breakers those that are not closed."""
    shown = view(provider)
    shown["headers"] = [name for name, _ in provider.headers]
    shown["policy"] = view(desk.gateway.profiles.get(provider.profile, NOTHING_KNOWN).policy)
    shown["has_key"] = desk.store.directory.has_secret(provider)
    shown["breakers"] = [
        {"model": one.model or None, "tier": one.tier or None, "state": one.state, "wait_s": one.wait_s}
        for one in desk.gateway.breakers.shown(trio.current_time())
        if one.provider_id == provider.provider_id
    ]
    return shown


ONLY_THE_OPERATOR = "Only the operator may allow addresses that are not public: startline provider set --any-address"


def _check_base_url(base_url: str, *, strictly: bool) -> None:
    """Whether it can be one. `strictly`: as somebody else than the operator may set it. Raises CallerFault."""
    try:
        origin = parse_base_url(base_url).origin
    except ValueError as wrong:
        raise CallerFault("bad_request", f"{wrong}.") from None
    if not strictly:
        return
    if origin.scheme != "https":
        raise CallerFault("bad_request", "A base URL that the operator did not set begins with https://.")
    if is_odd_host(origin.host):
        raise CallerFault("bad_request", "The base URL has a number for a host, in an odd spelling.")
    if is_address(origin.host) and not is_public(origin.host):
        raise CallerFault("operator_only", ONLY_THE_OPERATOR)


def _check_proxy(proxy: str, caller: Caller, *, public_only: bool) -> None:
    """Whether a provider may be behind it: only the operator says so, and only where any address is allowed."""
    if not caller.operator:
        raise CallerFault("operator_only", "Only the operator may set a proxy: startline provider set --proxy")
    if proxy and public_only:
        raise CallerFault("bad_request", "Behind a proxy nobody can tell whether the provider's address is public.")
    try:
        if proxy:
            parse_proxy(proxy)
    except ValueError as wrong:
        raise CallerFault("bad_request", f"{wrong}.") from None


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED_HEADERS or not _HEADER_VALUE.fullmatch(value):
            raise CallerFault("bad_request", "An extra header has a name or value that cannot be sent.")
        if name.lower() in _SECRET_HEADERS:
            raise CallerFault("bad_request", "An extra header is no place for a credential: give it as the key.")


def _check_secret(secret: str) -> None:
    if secret and not re.fullmatch(r"[\x21-\x7e]+", secret):
        raise CallerFault("bad_request", "The key has characters that no key has; was it pasted whole, on one line?")


def _profile_of(desk: Desk, new: NewProvider) -> tuple[str, Profile]:
    """The profile that was named, else that of the provider's name, else that of its kind. Raises CallerFault."""
    known = desk.gateway.profiles
    if new.profile is not None and new.profile not in known:
        raise CallerFault("bad_request", f"There is no profile of this name; there are: {', '.join(known)}.")
    name = next((one for one in (new.profile, new.name, new.kind) if one is not None and one in known), "")
    profile = known.get(name, NOTHING_KNOWN)
    if new.profile is None and new.kind is not None and new.kind != profile.kind:
        return "", NOTHING_KNOWN
    return name, profile


def _dialects(profile: Profile, base_url: str) -> tuple[tuple[str, str], ...]:
    """Where each dialect is spoken; what the profile knows of other places holds for its own base URL alone."""
    moved = base_url != profile.base_url and not profile.own_parts
    return tuple([(name, url) for name, url in profile.dialects.items() if not (url and moved)])


def _checked(desk: Desk, new: NewProvider, caller: Caller, organisation_id: str) -> Provider:
    if not NAME.fullmatch(new.name):
        raise CallerFault("bad_request", "A provider's name has lower-case letters, digits, dot, dash or underscore.")
    if new.auth and (not _HEADER_NAME.fullmatch(new.auth) or new.auth.lower() in _RESERVED_HEADERS):
        raise CallerFault("bad_request", "auth is bearer, or the name of a header such as api-key.")
    profile_name, profile = _profile_of(desk, new)
    kind = new.kind or profile.kind
    base_url = new.base_url or profile.base_url
    if not new.base_url and profile.own_parts:
        parts = ", ".join(profile.own_parts)
        raise CallerFault("bad_request", f"Its base URL has parts of yours ({parts}): give it whole, as {base_url}")
    if not base_url:
        raise CallerFault("bad_request", "This provider needs a base URL.")
    own_place = base_url != profile.base_url
    if not caller.operator and new.public_only is False and own_place:
        raise CallerFault("operator_only", ONLY_THE_OPERATOR)
    _check_base_url(base_url, strictly=not caller.operator)
    if new.proxy:
        _check_proxy(new.proxy, caller, public_only=bool(new.public_only))
    _check_headers(new.headers)
    _check_secret(new.secret)
    return Provider(
        provider_id="",
        organisation_id=organisation_id,
        name=new.name,
        kind=kind,
        base_url=base_url.rstrip("/"),
        tiers=new.tiers if new.tiers is not None else profile.tiers,
        models=new.models,
        model_source="any" if new.any_model else "provider" if new.models is None else "operator",
        public_only=bool(new.public_only) or (not caller.operator and (own_place or bool(new.headers))),
        proxy=new.proxy,
        price_as=new.price_as if new.price_as is not None else profile.price_as,
        headers=tuple(new.headers.items()),
        stream_options=profile.stream_options if new.stream_options is None else new.stream_options,
        abort_billing=new.abort_billing or profile.abort_billing,
        position=new.position,
        profile=profile_name,
        auth=profile.auth if new.auth is None else new.auth.lower(),
        dialects=_dialects(profile, base_url),
    )


async def add_provider(desk: Desk, caller: Caller, request: Request) -> object:
    """POST /admin/v1/providers: stores it, then asks it for its models; unreachable is no error, and is told."""
    new = await read_body(request, NewProvider)
    if caller.operator:
        await desk.ensure_organisation()
    provider = _checked(desk, new, caller, desk.organisation(caller, new.organisation).organisation_id)
    provider = await desk.store.providers.add(provider, new.secret or None, now_unix_s=desk.now_unix_s())
    keep = not new.any_model and new.models is None
    provider, check = await _check(desk, provider, keep=keep)
    return {"provider": provider_view(desk, provider), "check": check}


async def _check(desk: Desk, provider: Provider, *, keep: bool) -> tuple[Provider, dict[str, Any]]:
    """Ask the provider for its models; `keep` stores the answer."""
    began_s = trio.current_time()
    try:
        models = await fetch_models(desk.gateway.pool, provider, desk.store.directory.secret(provider))
    except UpstreamFault as fault:
        return provider, {"ok": False, "code": fault.code, "message": fault.message}
    if keep and models and models != provider.models:
        provider = await desk.store.providers.set_models(provider, models)
    return provider, {"ok": True, "models": len(models), "took_s": round(trio.current_time() - began_s, 4)}


def _named(desk: Desk, caller: Caller, request: Request) -> Provider:
    organisation = desk.organisation(caller, request.query_params.get("organisation"))
    return desk.store.providers.show(organisation.organisation_id, request.path_params["name"])


async def list_profiles(desk: Desk, _: Caller, __: Request) -> object:
    """GET /admin/v1/profiles: the families that are known by name."""
    return {"profiles": [{"name": name, **view(profile)} for name, profile in desk.gateway.profiles.items()]}


async def list_providers(desk: Desk, caller: Caller, request: Request) -> object:
    """GET /admin/v1/providers, in the operator's order; `organisation`: of that one alone."""
    asked = request.query_params.get("organisation")
    only = caller.organisation_id if asked is None else desk.organisation(caller, asked).organisation_id
    listed = desk.store.providers.list(only)
    return {"providers": [provider_view(desk, provider) for provider in listed]}


async def show_provider(desk: Desk, caller: Caller, request: Request) -> object:
    """GET /admin/v1/providers/{name}."""
    return provider_view(desk, _named(desk, caller, request))


async def set_provider(desk: Desk, caller: Caller, request: Request) -> object:
    """PATCH /admin/v1/providers/{name}: what is named is changed, the rest stays. Holds for the next request."""
    change = await read_body(request, Change)
    provider = _named(desk, caller, request)
    given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    secret = given.pop("secret", None)
    _check_secret(secret or "")
    if isinstance(change.base_url, str):
        _check_base_url(change.base_url, strictly=not caller.operator)
        given["base_url"] = change.base_url.rstrip("/")
        if given["base_url"] != provider.base_url:  # what was known of other places holds no longer
            given["dialects"] = tuple([(name, url) for name, url in provider.dialects if not url])
    behind = given.get("proxy", provider.proxy)
    if "proxy" in given or (behind and given.keys() & {"public_only", "base_url"}):
        _check_proxy(behind, caller, public_only=given.get("public_only", provider.public_only))
    if isinstance(change.headers, dict):
        _check_headers(change.headers)
        given["headers"] = tuple(change.headers.items())
    if not caller.operator:
        _check_by_manager(desk, provider, given, secret)
    any_model = given.pop("any_model", None)
    if any_model or change.models is not UNSET:
        given["models"] = None if any_model else change.models
        given["model_source"] = "any" if any_model else "provider" if change.models is None else "operator"
    changed = await desk.store.providers.change(provider, secret, **given)
    desk.gateway.breakers.forget(provider.provider_id)
    return provider_view(desk, changed)


def _check_by_manager(desk: Desk, provider: Provider, given: dict[str, Any], secret: str | None) -> None:
    """What a management key may change: not what leads to other addresses, nor where a stored credential goes."""
    moves = given.get("base_url", provider.base_url) != provider.base_url
    profile = desk.gateway.profiles.get(provider.profile or provider.kind, NOTHING_KNOWN)
    tame = not provider.proxy and (provider.public_only or provider.base_url == profile.base_url)
    if given.get("public_only") is False or ("headers" in given and not (tame or moves)):
        raise CallerFault("operator_only", ONLY_THE_OPERATOR)
    if moves and secret is None:
        raise CallerFault("bad_request", "A new base URL needs the key again: the stored one was for another place.")
    if moves or "headers" in given:
        given["public_only"] = True


async def test_provider(desk: Desk, caller: Caller, request: Request) -> object:
    """POST /admin/v1/providers/{name}/test: asks for the models; a list that was its own is brought up to date."""
    provider = _named(desk, caller, request)
    provider, check = await _check(desk, provider, keep=provider.model_source == "provider")
    return {"provider": provider_view(desk, provider), "check": check}


async def remove_provider(desk: Desk, caller: Caller, request: Request) -> object:
    """DELETE /admin/v1/providers/{name}; usage keeps its name."""
    provider = _named(desk, caller, request)
    await desk.store.providers.remove(provider)
    desk.gateway.breakers.forget(provider.provider_id)
    return {"removed": provider.name}
