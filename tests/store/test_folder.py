"""One process has the folder; the master key is made once, and never beside a database that has another."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.store.faults import BadMasterKey, FolderLocked, MissingMasterKey
from appliance.store.folder import DataFolder, master_key, read_master_key, write_private
from tests.store.opening import seeded

KEY = bytes(range(200, 232))


def test_a_second_taker_is_told(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "data") as folder:
        assert folder.path.stat().st_mode & 0o777 == 0o700
        with pytest.raises(FolderLocked, match="another process"):
            DataFolder(tmp_path / "data")
    DataFolder(tmp_path / "data").close()


def test_another_process_is_told(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from appliance.store.folder import DataFolder;"
        "DataFolder(pathlib.Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(FolderLocked):
            DataFolder(tmp_path)
        holder.kill()
    DataFolder(tmp_path).close()


def test_the_master_key_is_made_once(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        key = master_key(folder, None, seeded())
        assert folder.master_key.stat().st_mode & 0o777 == 0o600
        assert base64.b64decode(folder.master_key.read_bytes()) == key
        folder.database.touch()
        assert master_key(folder, None, lambda size: b"") == key


def test_a_missing_master_key_is_not_replaced(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        folder.database.touch()
        with pytest.raises(MissingMasterKey, match="restore"):
            master_key(folder, None, seeded())
        assert not folder.master_key.exists()


def test_a_supplied_master_key_is_never_written(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        assert master_key(folder, KEY, seeded()) == KEY
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize("supplied", [KEY, base64.b64encode(KEY), b" " + base64.b64encode(KEY) + b"\n"])
def test_forms_of_a_master_key(supplied: bytes) -> None:
    assert read_master_key(supplied) == KEY


@pytest.mark.parametrize("supplied", [b"", b"canary-7", KEY[:-1], base64.b64encode(KEY[:-1]), b"!" * 44])
def test_what_is_no_master_key_is_refused_without_being_shown(supplied: bytes) -> None:
    with pytest.raises(BadMasterKey) as caught:
        read_master_key(supplied)
    assert "canary" not in str(caught.value)


def test_private_files_are_whole_and_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(b"left by a crash")
    write_private(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "file", b"other")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_every_file_lies_in_the_folder(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as folder:
        paths = [folder.database, folder.archive, folder.backups, folder.master_key, folder.first_keys, folder.socket]
        assert all(path.parent == tmp_path for path in paths)
        assert len(set(paths)) == len(paths)
