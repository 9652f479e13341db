"""The operator's prices are taken over when their file changes, and kept when it is broken."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from appliance.domain.money import Rates
from appliance.services.price_file import LOOK_S, NAME, read_prices, run, stamp
from appliance.settings import SettingsFault
from tests.request.stage import prices

ROW = '[openai."gpt-5.4".default]\ninput = {}\noutput = 12.0\n'


def write(folder: Path, text: str) -> None:
    """As operators should: whole or not at all."""
    (folder / "new").write_text(text)
    (folder / "new").rename(folder / NAME)


async def test_what_changes_holds_and_what_is_broken_changes_nothing(mock_clock: MockClock, tmp_path: Path) -> None:
    table = prices()
    listed = table.rates("openai", "gpt-5.4", "default")
    assert listed is not None

    async def after_a_look() -> tuple[Rates | None, str]:
        mock_clock.jump(LOOK_S)
        with trio.fail_after(LOOK_S * 100):
            while not 0 < trio.lowlevel.current_statistics().seconds_to_next_deadline <= LOOK_S:
                await trio.lowlevel.checkpoint()
        return table.rates("openai", "gpt-5.4", "default"), table.row("openai", "gpt-5.4", "default")[:4]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, tmp_path, table, stamp(tmp_path))
        await trio.testing.wait_all_tasks_blocked()
        assert (await after_a_look())[0] == listed
        write(tmp_path, ROW.format(2))
        assert await after_a_look() == (Rates(2_000_000, 12_000_000), "own:")
        before = table.overrides
        write(tmp_path, ROW.format("'dear'"))
        assert await after_a_look() == (Rates(2_000_000, 12_000_000), "own:")
        assert table.overrides is before
        write(tmp_path, ROW.format(3))
        assert (await after_a_look())[0] == Rates(3_000_000, 12_000_000)
        (tmp_path / NAME).unlink()
        assert (await after_a_look())[0] == listed
        nursery.cancel_scope.cancel()


def test_what_is_wrong_is_said_with_its_row(tmp_path: Path) -> None:
    assert read_prices(tmp_path) == {}
    for text, told in ((ROW.format(-1), "gpt-5.4"), ("[", NAME), ("\xff", NAME)):
        (tmp_path / NAME).write_bytes(text.encode("latin-1"))
        with pytest.raises(SettingsFault, match=told):
            read_prices(tmp_path)
