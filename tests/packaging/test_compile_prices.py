"""The price file is what its compiler makes of the package that it names: nobody edited it by hand."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
PRICES = ROOT / "appliance" / "policy" / "prices.json"


def test_compiling_again_gives_the_same_file(tmp_path: Path) -> None:
    document = msgspec.json.decode(PRICES.read_bytes())
    version = importlib.metadata.version("genai-prices")
    if f"genai-prices {version};" not in document["source"]:
        pytest.skip(f"not run: the file was compiled from another version than {version}")
    again = tmp_path / "prices.json"
    compiler = ROOT / "packaging" / "compile-prices"
    ran = subprocess.run(
        [sys.executable, compiler, "--date", document["date"], "--out", again],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == "", "a row that could not be filled is a row to look at"
    assert again.read_bytes() == PRICES.read_bytes()
