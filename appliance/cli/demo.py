"""`startline demo`: the gateway before a simulated provider, and one race for each way in which a race can end."""

import signal
import sys
from typing import TYPE_CHECKING

import click

from appliance.cli.operator import perform
from appliance.cli.output import NANOS_PER_USD, dollars, say_json, seconds
from appliance.cli.place import json_option
from appliance.cli.race_view import bars, cost_line, saving

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.cli.race_watch import Outcome, Scene
    from appliance.cli.stage import Stage

WIDE_COLUMNS = 115
"""Narrower terminals get the table without two of its columns."""

COLOURS = {"flex": "green", "default": "yellow", "priority": "magenta"}


def scenes() -> tuple["Scene", ...]:
    """The races of the demo; the simulator's world `demo` makes each end as told."""
    from appliance.cli.race_watch import Scene

    return (
        Scene("flex is quick", "gpt-5.4-nano", "flex_won", "flex", "4s"),
        Scene("flex is slow", "gpt-5.4-mini", "flex_deadline", "default", "3s"),
        Scene("flex has no capacity", "gpt-5.4", "flex_capacity", "default", "10s", stream=False),
        Scene("flex says 200 and then fails", "gpt-5.5", "flex_upstream_error", "default", "10s"),
        Scene(
            "flex says hello and then nothing", "gpt-5.6-luna", "flex_deadline", "default", "2s", endpoint="responses"
        ),
        Scene("flex wins late", "gpt-5.6-terra", "flex_won_late", "flex", "5s"),
        Scene("no race: priority, downgraded", "gpt-5.6-sol", "tier_direct", "default", service_tier="priority"),
    )


@click.command(epilog="Example: startline demo --exit")
@click.option("--exit", "leave", is_flag=True, help="End after the races: status 0, or 1 if any came out wrong.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port of the gateway; default: a free one.")
@json_option
def demo(leave: bool, port: int, as_json: bool) -> None:
    """Show races live, before a simulated provider. Needs no keys and no internet, and leaves nothing behind."""
    if not perform(_run, leave, port, as_json):
        sys.exit(1)


async def _run(leave: bool, port: int, as_json: bool) -> bool:
    import trio

    from appliance.cli.stage import staged
    from appliance.simulator.builtin_worlds import built_in

    right = True
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def stop() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(stop)
            async with staged(built_in("demo"), port=port) as stage:
                right = await (_print(stage) if as_json else _show(stage))
                if not leave:
                    if not as_json:
                        click.echo(f"\nStill serving at {stage.base_url} with the key above. Ctrl-C ends it.")
                    await trio.sleep_forever()
            nursery.cancel_scope.cancel()
    return right


async def _print(stage: "Stage") -> bool:
    """The same for a script: where it serves, and each race with its record and what was wrong."""
    from appliance.cli.race_watch import play

    outcomes = [await play(stage, scene, lambda *_: None) for scene in scenes()]
    say_json({"base_url": stage.base_url, "api_key": stage.key, "races": outcomes})
    return not any(outcome.wrong for outcome in outcomes)


async def _show(stage: "Stage") -> bool:
    from rich.console import Console

    from appliance.cli.race_watch import play

    console = Console(highlight=False, soft_wrap=True)
    click.echo(_invitation(stage))
    outcomes = []
    for number, scene in enumerate(scenes(), 1):
        form = f"{scene.endpoint}, {'streamed' if scene.stream else 'whole'}"
        console.print(f"\n[bold]{number}  {scene.about}[/bold]  {scene.model}, {scene.asked}, {form}")

        def tell(at_s: float, tier: str, text: str) -> None:
            colour = COLOURS.get(tier, "white")
            console.print(f"   {at_s:7.3f} s  [{colour}]{tier:<8}[/{colour}]  {text}")

        outcome = await play(stage, scene, tell)
        _tell_end(console, outcome)
        outcomes.append(outcome)
    _summary(console, outcomes)
    return not any(outcome.wrong for outcome in outcomes)


def _tell_end(console: "Console", outcome: "Outcome") -> None:
    detail = outcome.detail
    if detail is not None:
        for line in bars(detail):
            console.print(f"   {line}", style="dim")
        request = detail["request"]
        console.print(f"   [bold]{request['reason']}[/bold]: served by {request['tier_served']}; {cost_line(request)}")
        if detail["plan"] is not None:
            console.print(f"   plan: {detail['plan']}", style="dim")
    for fault in outcome.wrong:
        console.print(f"   [red bold]WRONG[/red bold]: {fault}")


def _summary(console: "Console", outcomes: list["Outcome"]) -> None:
    from rich.table import Table

    if not console.is_terminal:
        console.width = max(console.width, 140)
    wide = console.width >= WIDE_COLUMNS
    table = Table(box=None, pad_edge=False, header_style="bold", title="\nWhat came of it", title_justify="left")
    table.add_column("race", overflow="fold")
    for name in ("reason", "served", ">started", *((">loser closed", ">cost") if wide else (">cost",))):
        table.add_column(name.lstrip(">"), justify="right" if name[0] == ">" else "left", no_wrap=True)
    for name in ("always default", "saved") if wide else ("saved",):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    paid = compared = 0
    for outcome in outcomes:
        request = outcome.detail["request"] if outcome.detail else {}
        cost, other = request.get("cost_nanos"), request.get("default_nanos")
        paid, compared = paid + (cost or 0), compared + (other or 0)
        row = [outcome.scene.about, str(request.get("reason")), str(request.get("tier_served"))]
        row.append(seconds(outcome.started_s) or "–")
        row += [seconds(outcome.closed_s) or "–"] if wide else []
        row.append(dollars(cost, 7) or "unknown")
        row += [dollars(other, 7) or "unknown"] if wide else []
        row.append(saving(cost, other) if cost is not None and other else "–")
        table.add_row(*row, "[red]WRONG[/red]" if outcome.wrong else "[green]ok[/green]")
    console.print(table)
    console.print(
        f"\nPaid ${paid / NANOS_PER_USD:.7f} where always-default costs ${compared / NANOS_PER_USD:.7f}: "
        f"{saving(paid, compared)}. One race of each kind: what is saved depends on how often flex wins."
    )


def _invitation(stage: "Stage") -> str:
    bearer = f"-H 'Authorization: Bearer {stage.key}' -H 'Content-Type: application/json'"
    return f"""\
Startline is serving before a simulated provider.

  base URL   {stage.base_url}
  API key    {stage.key}

Paste one of these into another terminal (here, while this runs):

# curl
curl -i {stage.base_url}/chat/completions {bearer} \\
  -d '{{"model": "gpt-5.4-nano", "start_within": "10s", "messages": [{{"role": "user", "content": "hello"}}]}}'

# the OpenAI SDK for Python
python3 -c '
from openai import OpenAI
client = OpenAI(base_url="{stage.base_url}", api_key="{stage.key}")
answer = client.chat.completions.create(
    model="gpt-5.4-mini", messages=[{{"role": "user", "content": "hello"}}], extra_body={{"start_within": "5s"}}
)
print(answer.service_tier, answer.choices[0].message.content)'

# a Responses stream
curl -N {stage.base_url}/responses {bearer} \\
  -d '{{"model": "gpt-5.6-terra", "start_within": "5s", "stream": true, "input": "hello"}}'
"""
