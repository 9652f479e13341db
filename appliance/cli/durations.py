"""Durations and moments as people type them: `90d`, `12h`, `30m`, `45s`; `2026-01-31`, `2026-01-31T12:00:00Z`."""

import re
from datetime import UTC, datetime

import click

_PART = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(d|h|m|s)", re.ASCII)
_UNIT_S = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


def parse_duration_s(text: str) -> float:
    """Seconds. Raises click.BadParameter."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise click.BadParameter(f"{text!r} is no duration; write 30s, 15m, 12h, 90d or 1h30m")
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)


def parse_moment(text: str, now_unix_s: float) -> float:
    """Unix seconds of a date, a time, or a duration before now. Raises click.BadParameter."""
    if _PART.match(text):
        return now_unix_s - parse_duration_s(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time; write 24h, 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
