"""`startline selftest`: does this installation work? The gateway before a simulated provider, and what must hold.

The rule: nothing of the user's is touched, and each line of the table is one statement that was tested just now.
"""

import sys
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.operator import asked, perform
from appliance.cli.output import say_json, say_table, seconds
from appliance.cli.place import json_option

if TYPE_CHECKING:
    from appliance.cli.race_watch import Scene
    from appliance.cli.stage import Stage
    from appliance.simulator.world import World

Check = tuple[str, str, float]
"""What was tested, what was wrong ("": nothing), how long it took in seconds."""

LIMIT_S = 60.0


def selftest_world() -> "World":
    """Models that make races end surely and soon."""
    from appliance.simulator.world import Behaviour, Model, World

    quick = Behaviour(start=0.05, tokens_per_s=400.0)

    def model(flex: Behaviour) -> Model:
        return Model(tiers={"flex": flex, "default": quick, "priority": quick})

    return World(
        name="selftest",
        models={
            "gpt-5.4-nano": model(quick),
            "gpt-5.4-mini": model(Behaviour(start=60.0, early=True)),
            "gpt-5.4": model(Behaviour(refusal_rate=1.0)),
            "gpt-5.5": model(Behaviour(start=0.05, early=True, error_rate=1.0, error="server_error")),
            "text-embedding-3-small": Model(tiers={"default": quick}, dimensions=64),
        },
    )


def _scenes() -> tuple["Scene", ...]:
    from appliance.cli.race_watch import Scene

    return (
        Scene("chat: flex wins, streamed", "gpt-5.4-nano", "flex_won", "flex", "5s"),
        Scene("chat: flex wins, assembled", "gpt-5.4-nano", "flex_won", "flex", "5s", stream=False),
        Scene("chat: the deadline launches default", "gpt-5.4-mini", "flex_deadline", "default", "2s"),
        Scene("chat: no capacity on flex", "gpt-5.4", "flex_capacity", "default", "5s"),
        Scene("chat: flex fails inside its stream", "gpt-5.5", "flex_upstream_error", "default", "5s"),
        Scene("chat: one tier, no race", "gpt-5.4-nano", "tier_direct", "default", service_tier="default"),
        Scene("responses: flex wins, streamed", "gpt-5.4-nano", "flex_won", "flex", "5s", endpoint="responses"),
        Scene(
            "responses: the deadline, assembled", "gpt-5.4-mini", "flex_deadline", "default", "2s",
            endpoint="responses", stream=False,
        ),
    )  # fmt: skip


@click.command(epilog="Example: startline selftest --json")
@json_option
def selftest(as_json: bool) -> None:
    """Test this installation on loopback; status 1 if anything is wrong. Takes some seconds."""
    checks = perform(_run)
    if as_json:
        say_json([{"check": about, "ok": not wrong, "wrong": wrong, "took_s": took} for about, wrong, took in checks])
    else:
        say_table(
            ("check", "result", ">took"), [(about, wrong or "ok", seconds(took)) for about, wrong, took in checks]
        )
    if any(wrong for _, wrong, _ in checks):
        sys.exit(1)


async def _run() -> list[Check]:
    import trio

    from appliance.cli.race_watch import play
    from appliance.cli.stage import staged

    checks: list[Check] = []
    with trio.move_on_after(LIMIT_S) as limit:
        async with staged(selftest_world()) as stage:
            for scene in _scenes():
                began_s = trio.current_time()
                outcome = await play(stage, scene, lambda *_: None)
                checks.append((scene.about, "; ".join(outcome.wrong), trio.current_time() - began_s))
            for about, check in (
                ("embeddings", _embeddings),
                ("models are listed", _models),
                ("a wrong key is refused", _wrong_key),
                ("a revoked key is refused at once", _revoked_key),
                ("the archive is whole and has every request", _archive),
                ("metrics count every request", _metrics),
            ):
                began_s = trio.current_time()
                checks.append((about, await check(stage), trio.current_time() - began_s))
    if limit.cancelled_caught:
        checks.append(("it ends in time", f"not within {LIMIT_S:g} s", LIMIT_S))
    return checks


async def _embeddings(stage: "Stage") -> str:
    answer = await stage.client.post("/v1/embeddings", json={"model": "text-embedding-3-small", "input": "hello"})
    size = len(answer.json()["data"][0]["embedding"]) if answer.status_code == 200 else 0
    return "" if size == 64 else f"status {answer.status_code}, {size} dimensions"


async def _models(stage: "Stage") -> str:
    answer = await stage.client.get("/v1/models")
    found = {row["id"] for row in answer.json().get("data", ())}
    return "" if found == set(selftest_world().models) else f"status {answer.status_code}, {len(found)} models"


async def _status(stage: "Stage", key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    return (await stage.client.get("/v1/models", headers=headers)).status_code


async def _wrong_key(stage: "Stage") -> str:
    wrong = stage.key[:-1] + ("a" if stage.key[-1] != "a" else "b")
    status = await _status(stage, wrong)
    return "" if status == 401 else f"status {status}"


async def _revoked_key(stage: "Stage") -> str:
    made = await asked(stage.admin, "POST", "/admin/v1/keys", json={"name": "to revoke"})
    before = await _status(stage, made["key"])
    await asked(stage.admin, "POST", f"/admin/v1/keys/{made['id']}/revoke")
    after = await _status(stage, made["key"])
    return "" if (before, after) == (200, 401) else f"status {before} before, {after} after"


async def _archive(stage: "Stage") -> str:
    totals: dict[str, Any] = (await asked(stage.admin, "GET", "/admin/v1/usage"))["totals"]
    found = await asked(stage.admin, "GET", "/admin/v1/archive/verify")
    wanted = 2 * totals["requests"]  # one record when a request begins and one when it has settled
    return "" if found["good"] and found["records"] == wanted else f"{found['records']} records of {wanted}"


async def _metrics(stage: "Stage") -> str:
    text = (await stage.admin.get("/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("startline_requests_total{")]
    counted = round(sum(float(line.rsplit(" ", 1)[1]) for line in lines))
    wanted = (await asked(stage.admin, "GET", "/admin/v1/usage"))["totals"]["requests"]
    return "" if counted == wanted else f"{counted} counted, {wanted} recorded"
