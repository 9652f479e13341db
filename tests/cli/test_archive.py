"""The archive from the command line: beside a running server, and of one that is damaged."""

import shutil
from pathlib import Path

import msgspec
import trio

from appliance.archive.segment import encode
from appliance.archive.writer import ArchiveWriter
from appliance.cli.race_watch import play
from appliance.cli.selftest import selftest_world
from appliance.cli.stage import staged
from appliance.domain.record import Observed
from tests.archive.records import begun, settled
from tests.cli.terminal import Terminal
from tests.cli.test_race_watch import WON


async def test_records_are_read_beside_the_server_and_damage_is_found(terminal: Terminal, tmp_path: Path) -> None:
    async with staged(selftest_world()) as stage:
        for _ in range(2):
            assert (await play(stage, WON, lambda *_: None)).wrong == ()
        terminal.environment["STARTLINE_DATA_FOLDER"] = str(stage.folder)

        def look() -> None:
            rows = [msgspec.json.decode(line) for line in terminal.run("archive", "cat", "--json").stdout.splitlines()]
            assert [row["kind"] for row in rows] == ["begun", "settled"] * 2
            assert rows[1]["reason"] == "flex_won" and rows[1]["attempts"][0]["tier_served"] == "flex"
            chosen = terminal.run(
                "archive", "cat", "--request", rows[3]["request_id"], "--kind", "settled", "--json"
            ).stdout
            assert [msgspec.json.decode(line) for line in chosen.splitlines()] == [rows[3]]
            told = terminal.run("archive", "cat").stdout.splitlines()
            assert rows[1]["request_id"] in told[1] and "flex_won" in told[1] and "rungs flex, default" in told[0]
            assert len(terminal.run("archive", "cat", "--limit", "3").stdout.splitlines()) == 3
            assert "the archive is whole" in terminal.run("archive", "verify").stdout
            assert terminal.json("archive", "verify")["records"] == 4

        await trio.to_thread.run_sync(look)
        shutil.copytree(stage.folder / "archive", tmp_path / "copy" / "archive")
    terminal.environment["STARTLINE_DATA_FOLDER"] = str(tmp_path / "copy")
    [segment] = (tmp_path / "copy" / "archive").glob("*.segment")
    damaged = bytearray(segment.read_bytes())
    damaged[len(damaged) // 3] ^= 0xFF
    segment.write_bytes(damaged)
    assert "DAMAGED" in terminal.run("archive", "verify", status=1).stdout
    assert terminal.json("archive", "verify", status=1)["ok"] is False


def test_a_record_that_a_failing_disk_made_the_server_write_twice_is_marked(terminal: Terminal, tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "archive", segment_bytes=1)
    attempt = settled(1).attempts[0]
    late = Observed(attempt.request_id, "org_a", "key_a", attempt)
    for record in (begun(1), settled(1), settled(1), begun(2), late, late):
        archive.append([encode(record)])
    archive.close()
    terminal.environment["STARTLINE_DATA_FOLDER"] = str(tmp_path)
    rows = [msgspec.json.decode(line) for line in terminal.run("archive", "cat", "--json").stdout.splitlines()]
    assert [row.get("again") for row in rows] == [None, None, True, None, None, True]
    assert [line.endswith("again") for line in terminal.run("archive", "cat").stdout.splitlines()] == [
        False, False, True, False, False, True,
    ]  # fmt: skip
    told = terminal.run("archive", "cat", "--kind", "observed", "--limit", "1").stdout.split()
    assert told[0] == "observed" and "openai/gpt-x" in told and "won" in told


def test_where_there_is_none(terminal: Terminal) -> None:
    assert "there is no archive" in terminal.run("archive", "verify", status=1).stderr
    assert "there is no archive" in terminal.run("archive", "cat", status=1).stderr
