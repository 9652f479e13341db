"""The bench says what it has measured."""

import sys

from tests.bench.__main__ import interpreter


def test_the_gateways_own_interpreter_is_named_not_that_of_the_bench() -> None:
    told = interpreter([sys.executable, "-m", "appliance"])
    assert told.startswith("CPython 3.") and told.endswith(f" of {sys.base_prefix}")
    assert interpreter(["/opt/startline/startline", "serve"]) == "startline"
