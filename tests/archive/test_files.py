"""The real files do what the port promises, readable by their owner alone."""

from pathlib import Path

import pytest

from appliance.archive.files import OsFiles


def test_a_file_lives_its_life(tmp_path: Path) -> None:
    files = OsFiles(tmp_path / "archive")
    assert files.list() == []
    files.make()
    file = files.open("one")
    file.append(b"hello")
    file.append(b"world")
    file.sync()
    file.truncate(7)
    file.append(b"!")
    file.close()
    file.close()
    files.sync_directory()
    assert files.read("one", 3, 100) == b"lowo!"
    assert files.read("one", 0, 2) == b"he"
    assert files.size("one") == 8
    files.open("two").close()
    assert files.list() == ["one", "two"]
    files.rename("one", "two")
    assert files.read("two", 0, 100) == b"hellowo!"
    files.remove("two")
    files.remove("two")
    assert files.list() == []
    with pytest.raises(FileNotFoundError):
        files.read("two", 0, 1)
    with pytest.raises(FileNotFoundError):
        files.size("two")


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    files = OsFiles(tmp_path / "archive")
    files.make()
    files.open("one").close()
    assert (tmp_path / "archive").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "archive" / "one").stat().st_mode & 0o777 == 0o600
