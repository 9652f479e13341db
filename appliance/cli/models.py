"""`startline models`: what can be called, on which tiers, at which price."""

from typing import Any

import click

from appliance.cli.operator import ask
from appliance.cli.output import remark, say_json, say_table
from appliance.cli.place import Place, json_option, with_place

SHOWN_TIERS = ("flex", "default", "priority")


@click.command(epilog="Example: startline models --provider openai")
@with_place
@click.option("--provider", help="Only of this provider.")
@json_option
def models(place: Place, as_json: bool, provider: str | None) -> None:
    """List the models, with prices in dollars per million tokens (input / output)."""
    answer = ask(place, "GET", "/admin/v1/models")
    rows = [row for row in answer["models"] if provider in (None, row["provider"])]
    if as_json:
        say_json({"models": rows, "any": answer["any"]})
        return
    if rows:
        say_table(
            ("model", "provider", "race", *(f">{tier}" for tier in SHOWN_TIERS)),
            [
                (
                    row["id"],
                    row["provider"],
                    "yes" if row["flex_race"] else "no",
                    *(_price(row["prices"], tier) for tier in SHOWN_TIERS),
                )
                for row in rows
            ],
        )
    for name in answer["any"]:
        remark(f"{name} is passed any model's name: {name}/MODEL")
    if not rows and not answer["any"]:
        remark("There is no provider yet: startline provider add openai")


def _price(prices: dict[str, Any], tier: str) -> str | None:
    if tier not in prices:
        return None
    price = prices[tier]
    return "unknown" if price is None else f"{price['input']:g} / {price['output']:g}"
