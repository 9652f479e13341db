"""A data folder in which races are recorded, from a seeded run in a made-up world."""

from pathlib import Path

from appliance.evaluation.setting import Setting
from appliance.evaluation.world import draws
from appliance.store.database import open_database
from appliance.store.rows import insert_attempts, insert_requests
from tests.cli.terminal import Terminal
from tests.evaluation.recording import recorded, records
from tests.evaluation.test_world import world

SINCE_UNIX_S = 1_790_000_000.0


def with_races(terminal: Terminal, requests: int = 400, setting: Setting = Setting(30.0, 0.99, 0.5, 0.5)) -> Path:
    """Make the folder and put the races into its database."""
    terminal.run("init")
    races, _ = recorded(draws(world("queueing"), 1, requests), setting)
    rows = records(races, SINCE_UNIX_S)
    connection = open_database(terminal.folder / "startline.db")
    insert_requests(connection, [request for request, _ in rows])
    insert_attempts(connection, [attempt for _, attempts in rows for attempt in attempts])
    connection.close()
    return terminal.folder
