"""`startline archive …`: read and check the archive's files. The rule: needs no lock, and changes nothing."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from appliance.cli.output import dollars, say_json, say_table
from appliance.cli.place import Place, json_option, with_place


def _folder(place: Place) -> Path:
    folder = place.folder / "archive"
    if not folder.is_dir():
        raise click.ClickException(f"there is no archive in {place.folder}")
    return folder


@click.command(epilog="Example: startline archive cat --request req_…")
@with_place
@click.option("--request", "request_id", metavar="ID", help="Only this request's records.")
@click.option("--kind", type=click.Choice(["begun", "settled", "observed"]), help="Only records of this kind.")
@click.option("--limit", type=click.IntRange(1), help="Stop after so many records.")
@json_option
def cat(place: Place, request_id: str | None, kind: str | None, limit: int | None, as_json: bool) -> None:
    """Print the records, oldest first, one on a line; with --json each whole.

    A record that was written a second time, because the disk had failed, is marked "again".
    """
    import msgspec

    from appliance.archive.reader import ArchiveReader
    from appliance.domain.record import ArchiveRecord, Begun, Observed, Settled

    def named(value: msgspec.Struct) -> dict[str, object]:
        told = {name: getattr(value, name) for name in value.__struct_fields__}
        return {
            name: named(one) if isinstance(one, msgspec.Struct) else msgspec.to_builtins(one)
            for name, one in told.items()
        }

    def row_of(record: ArchiveRecord) -> dict[str, object]:
        if isinstance(record, Settled):
            attempts = [named(attempt) for attempt in record.attempts]
            return {"kind": "settled", **named(record.request), "attempts": attempts}
        return {"kind": "begun" if isinstance(record, Begun) else "observed", **named(record)}

    printed, repeats = 0, _Repeats()
    for entry in ArchiveReader(_folder(place)).records():
        record = entry.record
        row = row_of(record)
        if kind not in (None, row["kind"]):
            continue
        nth = record.attempt.ordinal if isinstance(record, Observed) else 0
        again = repeats.again(entry.position.segment, f"{row['kind']} {nth}", str(row["request_id"]))
        if request_id not in (None, row["request_id"]):
            continue
        if again:
            row["again"] = True
        click.echo(msgspec.json.encode(row) if as_json else _line(row))
        printed += 1
        if printed == limit:
            break


class _Repeats:
    """Knows the records of this segment and the one before: what is written a second time comes in the next one."""

    def __init__(self) -> None:
        self._segment = 0
        self._here: set[tuple[str, str]] = set()
        self._before: set[tuple[str, str]] = set()

    def again(self, segment: int, kind: str, request_id: str) -> bool:
        if segment != self._segment:
            self._segment, self._before, self._here = segment, self._here, set()
        named = (kind, request_id)
        known = named in self._here or named in self._before
        self._here.add(named)
        return known


def _line(row: "dict[str, Any]") -> str:
    """A record for people: when, which, and how it came out."""
    if row["kind"] == "observed":
        one = row["attempt"]
        rung = f"{one['provider']}/{one['model']} {one['tier_sent'] or 'untiered'}"
        cost = dollars(one["cost_nanos"], 7) or "cost unknown"
        words = ["observed", row["request_id"], f"attempt {one['ordinal']}", rung, one["outcome"], cost]
        return "  ".join([*words, "again"] if "again" in row else words)
    at = datetime.fromtimestamp(row["at_unix_us"] / 1e6, UTC).isoformat(" ", "seconds").removesuffix("+00:00")
    words = [at, f"{row['kind']:<8}", row["request_id"], row["endpoint"], row["model_asked"], row["tier_asked"]]
    if row["kind"] == "begun":
        words.append("rungs " + ", ".join(rung["tier"] or "untiered" for rung in row["rungs"]))
    else:
        cost = dollars(row["cost_nanos"], 7) or "cost unknown"
        words += [str(row["status"]), row["reason"] or row["error_code"] or "–", row["tier_served"] or "–", cost]
    if "again" in row:
        words.append("again")
    return "  ".join(words)


@click.command(epilog="Example: startline archive verify")
@with_place
@json_option
def verify(place: Place, as_json: bool) -> None:
    """Check every record of every segment; status 1 if anything is missing or damaged."""
    import msgspec

    from appliance.archive.reader import ArchiveReader

    found = ArchiveReader(_folder(place)).verify()
    if as_json:
        segments = msgspec.to_builtins(found.segments)
        say_json({"ok": found.ok, "records": found.records, "missing": found.missing, "segments": segments})
    else:
        say_table(
            ("segment", ">records", ">bytes", ">torn bytes", ">damaged", ">unreadable", "fault"),
            [
                (
                    segment.number,
                    segment.records,
                    segment.size_bytes,
                    segment.torn_bytes,
                    segment.damaged,
                    segment.undecodable,
                    segment.fault,
                )
                for segment in found.segments
            ],
        )
        for number in found.missing:
            click.echo(f"segment {number} is missing")
        click.echo("the archive is whole" if found.ok else "the archive is DAMAGED")
    if not found.ok:
        sys.exit(1)


@click.group(commands=[cat, verify])
def archive() -> None:
    """The archive of records: cat, verify."""
