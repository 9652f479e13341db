"""Every setting in one table: name, type, unit (in the name), default, secrecy and help. The rule: no other source.

A value comes from, in rising order: the default, `startline.toml`, the environment (`STARTLINE_<NAME>`), a file named
by `STARTLINE_<NAME>_FILE`, a systemd credential `startline.<name>`, the command line. Values are checked when read;
an unknown name in the file is refused, so that a typing error is not a silent default.
"""

import math
import os
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from appliance.domain.tier import parse_finish_within, parse_start_target, parse_start_within


def _help(text: str, *, secret: bool = False) -> Meta:
    return Meta(description=text, extra_json_schema={"secret": secret})


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of one process. Names end in their unit; see `describe()` for the table."""

    def __repr__(self) -> str:
        return "Settings(…)"  # one of them is a secret

    listen: Annotated[str, _help("Address and port to serve on.")] = "127.0.0.1:8787"
    data_folder: Annotated[str, _help("Folder of all files; empty: the platform's, or systemd's StateDirectory.")] = ""
    master_key: Annotated[
        str, _help("Master key (base64 of 32 bytes) instead of the file in the data folder.", secret=True)
    ] = ""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _help("Least level that is logged.")] = "info"
    log_requests: Annotated[bool, _help("One log line for each request.")] = True
    trusted_proxies: Annotated[
        tuple[str, ...], _help("Networks whose x-forwarded-for is believed; none by default.")
    ] = ()
    ca_bundle: Annotated[str, _help("File of trusted certificates for providers; empty: the system's.")] = ""

    max_body_bytes: Annotated[int, _help("Largest request body, after decompression.")] = 32 * 1024 * 1024
    max_answer_bytes: Annotated[int, _help("Largest answer that is assembled or held whole.")] = 64 * 1024 * 1024
    max_bodies_bytes: Annotated[
        int, _help("Long bodies in work, requests and held answers together; above it new ones get 503.")
    ] = 512 * 1024 * 1024
    max_connections: Annotated[int, _help("Client connections at the same time.")] = 20_000
    max_connections_per_address: Annotated[
        int, _help("Connections of one client address (IPv6: one /64); trusted proxies have no such limit.")
    ] = 10_000
    max_requests_per_connection: Annotated[
        int, _help("Requests on one connection before it is closed, so that clients spread anew over balanced servers.")
    ] = 10_000
    max_requests_per_key: Annotated[
        int, _help("Requests of one key that are answered at the same time, streams included; above it, 429.")
    ] = 10_000
    max_failed_keys: Annotated[
        int,
        _help("Wrong keys of one client address in an hour before they get 429; good keys pass. 0: no limit."),
    ] = 60
    head_timeout_s: Annotated[float, _help("Time for a client to send a request's head.")] = 30.0
    body_timeout_s: Annotated[float, _help("Longest pause of a client within a request's body.")] = 30.0
    body_total_s: Annotated[float, _help("Time for a client to send the whole of a request's body.")] = 300.0
    keep_alive_s: Annotated[float, _help("Time that an idle client connection is kept.")] = 75.0
    write_timeout_s: Annotated[float, _help("Time for a client to take what it is sent before it is given up.")] = 60.0
    shutdown_s: Annotated[float, _help("Time for running requests to end at a stop.")] = 10.0

    compat: Annotated[
        Literal["none", "flexinference"], _help("A product whose names of headers and error blocks are told as well.")
    ] = "none"
    model_aliases: Annotated[
        dict[str, str], _help("Other names of models: what a caller may ask for, and what is meant.")
    ] = msgspec.field(default_factory=dict)
    unpriced_models: Annotated[
        Literal["serve", "refuse"], _help("What happens to requests for models without a known price.")
    ] = "serve"
    start_within: Annotated[
        str, _help("The wish of requests that have none, by themselves or by their key: a tier word or a duration.")
    ] = "default"
    start_target: Annotated[
        float, _help("Probability with which an answer should start within a race window, where nothing else is said.")
    ] = 0.99
    finish_within: Annotated[
        str, _help("Deadline of the last byte of requests that have none; only where a race window holds. Empty: none.")
    ] = ""
    finish_within_most_s: Annotated[float, _help("Longest finish_within a caller may ask for.")] = 3600.0
    race_slots: Annotated[
        int, _help("Races that an organisation may run at the same time; beyond, default serves at once.")
    ] = 1000
    hedges_per_s: Annotated[
        float, _help("Dearer rungs launched by time, of all races; while they are used up default serves at once.")
    ] = 500.0
    hedges_per_key_per_s: Annotated[float, _help("The same, of the races of one key.")] = 100.0
    start_within_least_s: Annotated[float, _help("Shortest race window a caller may ask for.")] = 1.0
    start_within_most_s: Annotated[float, _help("Longest race window a caller may ask for.")] = 900.0
    reserve_s: Annotated[
        dict[str, float],
        _help("Fixed launch of a dearer rung so long before the deadline: by `model/tier`, `*/tier`, `default`."),
    ] = msgspec.field(default_factory=dict)
    first_content_timeout_s: Annotated[float, _help("Time to the start of an answer before 504.")] = 900.0
    idle_timeout_s: Annotated[float, _help("Longest silence of a provider within an answer.")] = 120.0
    keep_alive_comment_s: Annotated[float, _help("Silence before a stream gets keep-alive comments; 0: never.")] = 20.0

    connect_timeout_s: Annotated[float, _help("Time to open a connection to a provider, TLS included.")] = 10.0
    pool_idle_s: Annotated[float, _help("Time that an idle connection to a provider is reused.")] = 30.0
    breaker_failures: Annotated[
        int, _help("Failures in a row after which a provider's model and tier get a pause; 0: never.")
    ] = 5
    breaker_pause_s: Annotated[float, _help("First such pause; each further one is twice as long, up to 12 times.")] = (
        5.0
    )
    dns_cache_s: Annotated[float, _help("Time that an address found for a provider is kept.")] = 30.0

    durability: Annotated[
        Literal["batched", "strict"], _help("strict: an answer ends only when its record is on disk.")
    ] = "batched"
    on_store_failure: Annotated[
        Literal["refuse", "serve"], _help("What happens to requests while records cannot be stored.")
    ] = "refuse"
    writer_linger_s: Annotated[float, _help("Pause of the writer between batches, so that it groups commits.")] = 0.02
    archive_segment_bytes: Annotated[int, _help("Size at which an archive segment is closed.")] = 64 * 1024 * 1024
    archive_segment_age_s: Annotated[float, _help("Age at which an archive segment is closed.")] = 86_400.0


SettingRow = tuple[str, str, str, str, bool]


def describe() -> list[SettingRow]:
    """The table as rows (name, type, default as TOML, help, secret)."""
    hints = get_type_hints(Settings, include_extras=True)
    defaults = Settings()
    rows: list[SettingRow] = []
    for name in Settings.__struct_fields__:
        kind, meta = get_args(hints[name])[:2]
        secret = bool((meta.extra_json_schema or {}).get("secret"))
        rows.append((name, _type_name(kind), _toml(getattr(defaults, name)), meta.description or "", secret))
    return rows


def _type_name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    if kind == dict[str, str]:
        return "table of texts"
    return {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}.get(
        getattr(kind, "__name__", ""), "table of numbers" if get_origin(kind) is dict else "list of texts"
    )


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {_toml(item)}' for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value) if isinstance(value, int | float) else f'"{value}"'


def print_config() -> str:
    """A `startline.toml` with every setting at its default, commented out, its help above it."""
    lines = ["# startline.toml: every setting, at its default. Remove the # of a line to change it.", ""]
    for name, kind, default, text, secret in describe():
        note = " Better given by STARTLINE_MASTER_KEY_FILE or a systemd credential." if secret else ""
        lines += [f"# {text} ({kind}){note}", f"#{name} = {default}", ""]
    return "\n".join(lines)


class SettingsFault(Exception):
    """A setting that cannot be used; the message names it and where it came from, never a secret's value."""


def load(
    file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read the settings. Raises SettingsFault naming the setting and its source."""
    values: dict[str, object] = {}
    if file is not None:
        try:
            values.update(tomllib.loads(file.read_text("utf-8")))
        except (OSError, ValueError) as reason:
            raise SettingsFault(f"{file}: {reason}") from reason
        if unknown := sorted(set(values) - set(Settings.__struct_fields__)):
            raise SettingsFault(f"{file}: there is no setting named {unknown[0]}")
        values = {name: _checked(name, value, str(file)) for name, value in values.items()}
    for name in Settings.__struct_fields__:
        found = _from_environment(name, environment)
        if found is not None:
            text, source = found
            values[name] = _checked(name, _parsed(text), source, text)
    for name, value in (overrides or {}).items():
        if value is not None:
            values[name] = _checked(name, value, "the command line")
    settings = Settings(**values)  # type: ignore[arg-type]
    _check_sense(settings)
    return settings


MAY_BE_ZERO = frozenset(
    {
        "shutdown_s",
        "keep_alive_comment_s",
        "dns_cache_s",
        "writer_linger_s",
        "race_slots",
        "breaker_failures",
        "max_failed_keys",
    }
)

SHORTEST_S = 0.01
"""Of what is looked at again and again: a shorter time would keep the processor busy with looking."""
A_YEAR_S = 31_536_000.0
"""No clock of the system takes times without end."""
MOST_S = {"writer_linger_s": 10.0}
"""What is held in memory that long would be lost in a crash."""


def _check_sense(settings: Settings) -> None:
    """What no type can tell: that numbers are in range and fit each other. Raises SettingsFault."""
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        for number in value.values() if isinstance(value, dict) else (value,):
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            least = 0 if name in MAY_BE_ZERO or isinstance(value, dict) else None
            if not math.isfinite(number) or number < 0 or (least is None and number == 0):
                raise SettingsFault(f"{name}: must be a number {'of 0 or more' if least == 0 else 'above 0'}")
            if name.endswith("_s"):
                most_s = MOST_S.get(name, A_YEAR_S)
                if number > most_s or (least is None and number < SHORTEST_S):
                    raise SettingsFault(
                        f"{name}: must be at least {least or SHORTEST_S:g} and at most {most_s:g} seconds"
                    )
    if settings.start_within_least_s > settings.start_within_most_s:
        raise SettingsFault("start_within_least_s: is above start_within_most_s")
    try:
        parse_start_within(settings.start_within, settings.start_within_least_s, settings.start_within_most_s)
    except ValueError as reason:
        raise SettingsFault(f"start_within: {reason}") from None
    try:
        parse_start_target(settings.start_target)
        if settings.finish_within:
            parse_finish_within(settings.finish_within, settings.start_within_least_s, settings.finish_within_most_s)
    except ValueError as reason:
        raise SettingsFault(str(reason)) from None
    for text in settings.trusted_proxies:
        try:
            ip_network(text.strip(), strict=False)
        except ValueError:
            raise SettingsFault("trusted_proxies: must be addresses or networks, such as 10.0.0.0/8") from None
    if settings.ca_bundle and not Path(settings.ca_bundle).is_file():
        raise SettingsFault("ca_bundle: there is no such file")


def _from_environment(name: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    variable = f"STARTLINE_{name.upper()}"
    if folder := environment.get("CREDENTIALS_DIRECTORY"):
        credential = Path(folder) / f"startline.{name}"
        if credential.exists():
            return credential.read_text("utf-8").strip(), f"the credential startline.{name}"
    if path := environment.get(f"{variable}_FILE"):
        try:
            return Path(path).read_text("utf-8").strip(), f"{variable}_FILE"
        except OSError as reason:
            raise SettingsFault(f"{variable}_FILE: {reason.strerror}") from reason
    if variable in environment:
        return environment[variable], variable
    return None


def _parsed(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _checked(name: str, value: object, source: str, text: str | None = None) -> object:
    kind = get_type_hints(Settings)[name]
    for candidate in (value, text):
        try:
            return msgspec.convert(candidate, kind, strict=True)
        except msgspec.ValidationError:
            continue
    raise SettingsFault(f"{name} (from {source}): expected {_type_name(kind)}")
