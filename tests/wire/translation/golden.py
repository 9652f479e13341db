"""Golden files: a provider's bytes, and beside them what they say in no dialect.

`tests/golden/<folder>/<name>.sse` (or `.json`, a whole answer) gives `<name>.events`: one JSON line for each event,
`[kind, fields…]`. Set STARTLINE_WRITE_GOLDEN=1 to write the `.events` files anew, then read the difference.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.errors import Fault
from appliance.domain.stream import Event

GOLDEN = Path(__file__).parents[2] / "golden"


def told(event: Event) -> bytes:
    return msgspec.json.encode([type(event).__name__, *_fields(event)])


def _fields(event: Event) -> list[Any]:
    return [
        {
            "code": value.code,
            "status": value.status,
            "provider_code": value.provider_code,
            "body": value.body is not None,
        }
        if isinstance(value, Fault)
        else msgspec.to_builtins(value, enc_hook=_raw)
        for value in msgspec.structs.astuple(event)
    ]


def _raw(value: Any) -> Any:
    return msgspec.json.decode(value)


def check(path: Path, events: list[Event]) -> None:
    """Compare with the file beside `path`."""
    expected = path.with_suffix(".events")
    lines = b"".join(told(event) + b"\n" for event in events)
    if os.environ.get("STARTLINE_WRITE_GOLDEN"):
        expected.write_bytes(lines)
    assert lines == expected.read_bytes(), path.name
