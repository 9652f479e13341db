"""Reads the profiles of providers: those shipped, and the operator's in the data folder, which go before them.

The rule: a file that cannot be read stops the start, with its name and what is wrong, rather than being passed over.
"""

from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

import msgspec

from appliance.domain.profile import Profile
from appliance.settings import SettingsFault
from appliance.upstream.origin import parse_base_url

SUFFIX = ".toml"
FOLDER = "profiles"
"""Its name, both beside this module and in the data folder."""


def shipped() -> Mapping[str, Profile]:
    """The profiles that come with Startline, by name."""
    return MappingProxyType(dict(_read(resources.files("appliance.upstream").joinpath(FOLDER))))


def all_profiles(data_folder: Path) -> Mapping[str, Profile]:
    """The shipped profiles and the operator's. Raises SettingsFault."""
    own = data_folder / FOLDER
    return MappingProxyType({**shipped(), **(_read(own) if own.is_dir() else {})})


def _read(folder: Traversable) -> dict[str, Profile]:
    found = sorted((file for file in folder.iterdir() if file.name.endswith(SUFFIX)), key=lambda file: file.name)
    return {file.name.removesuffix(SUFFIX): _profile(file.name, file.read_bytes()) for file in found}


def _profile(name: str, data: bytes) -> Profile:
    try:
        profile = msgspec.toml.decode(data, type=Profile)
        for url in (profile.base_url, *profile.dialects.values()):
            if url:
                parse_base_url(url.replace("{", "").replace("}", ""))
    except (msgspec.MsgspecError, ValueError) as wrong:
        raise SettingsFault(f"{FOLDER}/{name}: {wrong}") from None
    return profile
