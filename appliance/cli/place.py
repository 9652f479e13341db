"""Where a command works: the data folder and the settings. The rule: every command finds them in the same way.

The folder: `--data-folder`, else STARTLINE_DATA_FOLDER, else `data_folder` of a `--config` file, else systemd's
STATE_DIRECTORY, else the platform's place for a program's data. The file: `--config`, else `startline.toml` in it.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

CONFIG_FILE = "startline.toml"
SOCKET_FILE = "startline.sock"
SIGNS_OF_LIFE = ("startline.db", "lock")
"""Files of which a data folder has at least one."""
LONGEST_SOCKET_PATH_BYTES = 100
"""A Unix socket's path has room for 104 (macOS) to 108 bytes (Linux)."""


def platform_folder(environment: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Where this platform keeps a program's data."""
    home = Path(environment.get("HOME") or Path.home())
    if platform == "darwin":
        return home / "Library" / "Application Support" / "Startline"
    given = environment.get("XDG_DATA_HOME", "")
    return (Path(given) if given.startswith("/") else home / ".local" / "share") / "startline"


class Place:
    """A data folder and the file of settings that goes with it; the settings are read when first asked for."""

    def __init__(
        self, folder: Path | None = None, config: Path | None = None, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._environment = environment
        self._given_config = config
        self.folder = (folder or self._found()).absolute()

    def _found(self) -> Path:
        from appliance.settings import load

        named = load(self._given_config, self._told()).data_folder
        if named:
            return Path(named).expanduser()
        if state := self._environment.get("STATE_DIRECTORY"):
            return Path(state.split(":")[0])
        return platform_folder(self._environment)

    def _told(self) -> dict[str, str]:
        return dict(self._environment)

    @property
    def config(self) -> Path | None:
        """The file of settings; None if there is none."""
        if self._given_config is not None:
            return self._given_config
        own = self.folder / CONFIG_FILE
        return own if own.exists() else None

    def settings(self, **overrides: object) -> Any:
        """The settings (appliance.settings.Settings), with what the command line says. Raises click.ClickException."""
        from appliance.settings import SettingsFault, load

        try:
            return load(self.config, self._told(), overrides)
        except SettingsFault as fault:
            raise click.ClickException(str(fault)) from None

    def exists(self) -> bool:
        """Whether there is a data folder. Raises click.ClickException when that cannot be told."""
        try:
            return any((self.folder / name).exists() for name in SIGNS_OF_LIFE)
        except OSError as fault:
            raise click.ClickException(f"{self.folder}: {fault.strerror}") from None

    def socket(self) -> Path:
        """The operator's socket, by a path that is short enough to be bound.

        A folder with a long path is reached through a descriptor, which stays open for the life of the process.
        """
        path = self.folder / SOCKET_FILE
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH_BYTES or not Path("/proc/self/fd").is_dir():
            return path
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return Path(f"/proc/self/fd/{descriptor}") / SOCKET_FILE


def with_place(function: F) -> F:
    """Add `--data-folder` and `--config` to a command, whose first argument is then the Place."""

    def wrapped(data_folder: Path | None, config: Path | None, **arguments: Any) -> Any:
        from appliance.settings import SettingsFault

        try:
            place = Place(data_folder, config)
        except SettingsFault as fault:
            raise click.ClickException(str(fault)) from None
        return function(place, **arguments)

    wrapped.__name__, wrapped.__doc__ = function.__name__, function.__doc__
    wrapped.__click_params__ = list(getattr(function, "__click_params__", ()))  # type: ignore[attr-defined]
    file = click.Path(path_type=Path, dir_okay=False, exists=True)
    folder = click.Path(path_type=Path, file_okay=False)
    decorated = click.option("--config", type=file, help="File of settings; default: startline.toml in the folder.")(
        wrapped
    )
    return click.option("--data-folder", type=folder, help="Folder of all files; default: the platform's.")(decorated)  # type: ignore[return-value]


def json_option(function: F) -> F:
    """Add `--json` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(function)
