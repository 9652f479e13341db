"""A bug is told by its place, and by nothing that it says."""

import pytest

from appliance.request.defect import places


def deep(levels: int) -> None:
    if levels:
        deep(levels - 1)
    raise ValueError("the prompt, quoted")


def test_the_innermost_places_are_told_and_not_the_message() -> None:
    with pytest.raises(ValueError, match="prompt") as raised:
        deep(10)
    told = places(raised.value)
    assert len(told) == 6 and all(one.startswith("deep:") for one in told)
    assert told[-1] != told[-2], "the line that raised"
    assert places(ValueError("never raised")) == []
