"""`startline usage`: what was asked, served and paid. The rule: an unknown cost is counted and shown, never zero."""

import sys
import time
from typing import Any

import click

from appliance.cli.durations import parse_moment
from appliance.cli.operator import ask
from appliance.cli.output import dollars, moment, say_facts, say_json, say_table, seconds
from appliance.cli.place import Place, json_option, with_place
from appliance.cli.race_view import bars, cost_line, saving

USAGE = "/admin/v1/usage"
_SUMS = ">requests >failed >input >output >cached >cost >unknown"


@click.command(epilog="Example: startline usage --since 24h --by tier; startline usage --request req_…")
@with_place
@click.option("--since", metavar="TIME", help="24h, 2026-01-31 or 2026-01-31T12:00:00Z.")
@click.option("--until", metavar="TIME", help="As --since; exclusive.")
@click.option("--key", help="Id or name of a key.")
@click.option("--model", help="Model asked or dispatched.")
@click.option("--tier", help="Tier served.")
@click.option("--by", "group", type=click.Choice(["tier", "model", "provider", "key", "reason"]), help="Sums by this.")
@click.option("--limit", type=click.IntRange(0, 1000), default=20, show_default=True, help="Requests to list.")
@click.option("--before", help="The `next` of a page, for the page after it (with --json).")
@click.option("--request", "request_id", metavar="ID", help="One request with its attempts.")
@json_option
def usage(place: Place, as_json: bool, request_id: str | None, **filters: Any) -> None:
    """Show requests, newest first, and their totals."""
    if request_id is not None:
        _one(place, request_id, as_json)
        return
    now_unix_s = time.time_ns() / 1e9
    for name in ("since", "until"):
        if filters[name] is not None:
            filters[name] = f"{parse_moment(filters[name], now_unix_s):.6f}"
    answer = ask(place, "GET", USAGE, params={name: value for name, value in filters.items() if value is not None})
    if as_json:
        say_json(answer)
        return
    for row in answer.get("groups", ()):
        row["group"] = row["group"] or "none"
    if "groups" in answer:
        _sums(answer["groups"], filters["group"])
        click.echo()
    elif answer["requests"]:
        _rows(answer["requests"])
        click.echo()
    _sums([answer["totals"] | {"group": "all"}], "total")


def _rows(requests: list[dict[str, Any]]) -> None:
    say_table(
        ("time (UTC)", "request", "model", "asked", "served", "reason", ">status", ">start", ">in", ">out", ">cost"),
        [
            (
                moment(row["at_unix_us"] / 1e6),
                row["request_id"],
                row["model_asked"],
                row["tier_asked"],
                row["tier_served"],
                row["reason"] or row["error_code"],
                row["status"],
                seconds(row["to_start_s"]),
                row["tokens"]["input"],
                row["tokens"]["output"],
                dollars(row["cost_nanos"]) or row["cost_state"].replace("_", " "),
            )
            for row in requests
        ],
    )


def _sums(rows: list[dict[str, Any]], title: str) -> None:
    say_table(
        (title, *_SUMS.split(), ">always default", "saved", ">deadlines met"),
        [
            (
                row["group"],
                row["requests"],
                row["failed"],
                row["input_tokens"],
                row["output_tokens"],
                row["cached_tokens"],
                dollars(row["cost_nanos"]),
                row["unknown_costs"],
                dollars(row["default_nanos"]),
                saving(row["compared_nanos"], row["default_nanos"]),
                f"{row['deadlines_met']} of {row['deadlines']}",
            )
            for row in rows
        ],
    )  # fmt: skip


def _one(place: Place, request_id: str, as_json: bool) -> None:
    detail = ask(place, "GET", f"{USAGE}/{request_id}")
    if as_json:
        say_json(detail)
        return
    request = detail["request"]
    served = f"{request['tier_served'] or 'nothing'} ({request['reason'] or request['error_code']})"
    say_facts(
        [
            ("request", request["request_id"]),
            ("time", moment(request["at_unix_us"] / 1e6)),
            ("key", request["key_id"]),
            ("model", f"{request['model_asked']} at {request['provider']}"),
            ("asked", request["tier_asked"]),
            ("plan", detail["plan"]),
            ("served", served),
            ("status", request["status"]),
            ("start", seconds(request["to_start_s"])),
            ("deadline met", request["deadline_met"]),
            ("total", seconds(request["total_s"])),
            ("own time", seconds(request["overhead_s"], 6)),
            ("tokens", ", ".join(f"{name} {value}" for name, value in request["tokens"].items() if value is not None)),
            ("cost", cost_line(request).removeprefix("cost ")),
        ]
    )
    if detail["attempts"]:
        click.echo()
    for line in bars(detail):
        click.echo(line)
    sys.stdout.flush()
