"""Stopping and starting again: requests in work are told, nothing recorded is lost, the archive is whole."""

from pathlib import Path

import msgspec
import openai
import pytest

from tests.end_to_end.asking import chat
from tests.end_to_end.processes import command, program, until
from tests.end_to_end.records import check
from tests.end_to_end.stage import Json, Told, staged

pytestmark = pytest.mark.sockets


def told_by_command_line(environ: dict[str, str], request_id: str) -> Told:
    return msgspec.json.decode(command("usage", "--request", request_id, "--json", environ=environ), type=Told)


def rows_of(environ: dict[str, str], number: int) -> list[str] | None:
    """The requests listed, newest first, once there are so many: a row follows its answer by some milliseconds."""
    listed = msgspec.json.decode(command("usage", "--json", environ=environ))
    ids = [row["request_id"] for row in listed["requests"]]
    assert listed["totals"]["requests"] == len(ids) <= number
    return ids if len(ids) == number else None


def test_stop_and_start_again(tmp_path: Path) -> None:
    with staged(tmp_path, STARTLINE_SHUTDOWN_S="0.5") as stage, stage.client() as client:
        raced, running = stage.mark(), stage.mark()
        client.chat.completions.create(**chat("hello", raced, "flex.start=30", extra_body={"start_within": "1s"}))
        (first,) = stage.take()
        check(first, stage.served(raced))
        long = client.chat.completions.with_raw_response.create(
            **chat("go on", running, "tokens=2000,tokens_per_s=20", model="gpt-5.4-nano"), stream=True
        )
        request_id = long.headers["x-startline-request-id"]
        stream = long.parse()
        next(stream)
        stage.server.stop()
        with pytest.raises(openai.APIError) as caught:
            list(stream)
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["code"] == "shutting_down"
        (entry,) = stage.served(running)
        with pytest.raises(openai.APIConnectionError):
            client.models.list()

        # no server runs: the command line opens the folder itself
        assert told_by_command_line(stage.environ, first.request["request_id"]) == first
        second = told_by_command_line(stage.environ, request_id)
        assert (second.request["status"], second.request["error_code"]) == (200, "shutting_down")
        assert [(it["outcome"], it["cancel_cause"]) for it in second.attempts] == [("cancelled", "shutdown")]
        check(second, [entry])
        assert msgspec.json.decode(command("archive", "verify", "--json", environ=stage.environ))["ok"] is True
        lines = command("archive", "cat", "--json", environ=stage.environ).splitlines()
        archived = [msgspec.json.decode(line) for line in lines]
        for told in (first, second):
            own: list[Json] = [it for it in archived if it["request_id"] == told.request["request_id"]]
            assert [record["kind"] for record in own] == ["begun", "settled"]
            assert own[1] == {"kind": "settled", **told.request, "attempts": told.attempts}

        with program(["serve"], tmp_path, stage.environ) as again:
            address = again.says(r'"event":"serving","addresses":\["([^"]+)"')
            assert told_by_command_line(stage.environ, request_id) == second
            after = stage.mark()
            with stage.client(base_url=f"http://{address}/v1") as other:
                answer = other.chat.completions.create(**chat("still here", after, "echo=true"))
            assert answer.choices[0].message.content == "still here"
            rows = until(lambda: rows_of(stage.environ, 3), "third row")
            assert rows[1:] == [request_id, first.request["request_id"]]
