"""`startline try`: the first real request, and how its race went.

It runs as any client's request does: with an inference key, made for this one request and revoked after it.
"""

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.operator import Refused, asked, operator, perform
from appliance.cli.output import remark, say_json
from appliance.cli.place import Place, json_option, with_place
from appliance.cli.race_view import bars, cost_line

if TYPE_CHECKING:
    import httpx

KEY_VARIABLE = "STARTLINE_API_KEY"
KEY_LIFE_S = 1200
ROW_WAIT_S = 5.0


@click.command(name="try", epilog='Example: startline try "hello" --start-within 20s --model gpt-5.4-mini')
@with_place
@click.argument("prompt")
@click.option("--model", help="Default: the cheapest that can be raced.")
@click.option("--start-within", help="A tier word or a duration; default: 30s where the model can be raced.")
@json_option
def try_(place: Place, as_json: bool, prompt: str, model: str | None, start_within: str | None) -> None:
    """Send one request and show its race. Uses the key in STARTLINE_API_KEY, or one made for it."""
    ok = perform(_run, place, as_json, prompt, model, start_within)
    if not ok:
        sys.exit(1)


async def _run(place: Place, as_json: bool, prompt: str, model: str | None, start_within: str | None) -> bool:
    async with operator(place, timeout_s=1000.0) as client:
        listing = await asked(client, "GET", "/admin/v1/models")
        model, start_within = _choose(listing, model, start_within)
        own = os.environ.get(KEY_VARIABLE)
        made: dict[str, Any] = {}
        if not own:
            expires_unix_s = time.time_ns() // 1_000_000_000 + KEY_LIFE_S
            body = {"name": "startline try", "expires_unix_s": expires_unix_s}
            made = await asked(client, "POST", "/admin/v1/keys", json=body)
        try:
            return await _send(client, own or made["key"], as_json, prompt, model, start_within)
        finally:
            if made:
                import trio

                with trio.move_on_after(5, shield=True):
                    await asked(client, "POST", f"/admin/v1/keys/{made['id']}/revoke")


def _choose(listing: dict[str, Any], model: str | None, start_within: str | None) -> tuple[str, str | None]:
    """The model and window to use. Raises click.ClickException where there is nothing to call."""
    rows = {row["id"]: row for row in listing["models"]}
    if model is None:
        if not rows:
            told = "name a --model" if listing["any"] else "add a provider first: startline provider add openai"
            raise click.ClickException(f"No model is known; {told}")
        model = min(rows.values(), key=_dearness)["id"]
    row = rows.get(model)
    if start_within is None and row is not None and row["flex_race"]:
        start_within = "30s"
    return model, start_within


def _dearness(row: dict[str, Any]) -> tuple[bool, bool, float, str]:
    price = row["prices"].get("default") or {}
    return not row["flex_race"], not price.get("output"), price.get("output") or 0.0, row["id"]


async def _send(
    client: "httpx.AsyncClient", key: str, as_json: bool, prompt: str, model: str, start_within: str | None
) -> bool:
    import msgspec

    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": True}
    if start_within is not None:
        body["start_within"] = start_within
    if not as_json:
        remark(f"{model}, start_within {start_within or 'not set'}\n")
    text: list[str] = []
    failed = ""
    headers = {"authorization": f"Bearer {key}"}
    async with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        request_id = answer.headers.get("x-startline-request-id", "")
        if answer.status_code != 200:
            error = msgspec.json.decode(await answer.aread()).get("error", {})
            failed = str(error.get("message") or f"status {answer.status_code}")
        else:
            async for line in answer.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                event = msgspec.json.decode(line.removeprefix("data: "))
                if "error" in event:
                    failed = str(event["error"].get("message") or "the stream failed")
                for choice in event.get("choices", ()):
                    piece = choice.get("delta", {}).get("content") or ""
                    text.append(piece)
                    if not as_json:
                        click.echo(piece, nl=False)
    detail = await record(client, request_id) if answer.status_code != 401 else None
    if as_json:
        say_json({"text": "".join(text), "error": failed or None, **(detail or {})})
    else:
        _show(detail, failed, request_id)
    return not failed


def _show(detail: dict[str, Any] | None, failed: str, request_id: str) -> None:
    click.echo("")
    if failed:
        remark(f"It failed: {failed}")
    if detail is None and failed:
        return
    if detail is None:
        remark(f"The record of {request_id} is not there yet: startline usage --request {request_id}")
        return
    request = detail["request"]
    click.echo("")
    for line in bars(detail):
        click.echo(line)
    click.echo(f"{request['reason'] or request['error_code']}: served by {request['tier_served'] or 'nobody'}")
    click.echo(cost_line(request))
    if detail["plan"] is not None:
        click.echo(f"plan: {detail['plan']}")
    click.echo(f"record: startline usage --request {request_id}")


async def record(client: "httpx.AsyncClient", request_id: str) -> dict[str, Any] | None:
    """The usage row of a request with its attempts, once it is written; None if it does not come."""
    import trio

    with trio.move_on_after(ROW_WAIT_S):
        while True:
            try:
                found: dict[str, Any] = await asked(client, "GET", f"/admin/v1/usage/{request_id}")
            except Refused:
                await trio.sleep(0.05)
            else:
                return found
    return None
