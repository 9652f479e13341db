"""Opens what a power cut left with the product's own code, and says whether it kept what was promised.

The rule: it knows only what was handed over and what somebody outside had seen before the plug was pulled.
"""

from pathlib import Path
from typing import NamedTuple

from appliance.archive.reader import ArchiveReader
from appliance.domain.record import Begun, Settled
from appliance.store.commit import interrupted
from appliance.store.open import Store
from appliance.store.usage import UsageFilter
from tests.disk.disk import Pull, lay_out
from tests.store.opening import opened


class Kept(NamedTuple):
    """Seen outside: this request's record is kept for good."""

    request_id: str


class Heard(NamedTuple):
    """Seen outside: what an attempt of this request came to, that had been left running, is kept for good."""

    request_id: str


class Asked(NamedTuple):
    """Seen outside: somebody asked for this key or provider to be like this (see `state_of`)."""

    kind: str
    name: str
    state: object


class Changed(NamedTuple):
    """Seen outside: that is how it is from now on."""

    kind: str
    name: str
    state: object


class Told(NamedTuple):
    """All that was ever handed to the store, by request id."""

    begun: dict[str, Begun]
    settled: dict[str, Settled]
    late: dict[str, Settled]
    """How it is once it is known what was left running came to."""


async def judge(pull: Pull, told: Told, folder: Path, **settings: object) -> None:
    """Fail unless the folder opens, holds what must be there, and nothing that was never so."""
    lay_out(pull.survivor, folder)
    where = f"operation {pull.at}, {pull.fate}"
    async with opened(folder, **settings) as store:
        rows = await rows_of(store)
        for request_id, row in rows.items():
            fair = [told.settled.get(request_id), told.late.get(request_id)]
            if request_id in told.begun:
                fair.append(interrupted(told.begun[request_id]))
            assert row in fair, f"{where}: {request_id} is neither as it was settled nor interrupted"
        for seen in pull.seen:
            if isinstance(seen, Kept):
                kept = (told.settled[seen.request_id], told.late.get(seen.request_id))
                assert rows.get(seen.request_id) in kept, f"{where}: lost {seen.request_id}"
            elif isinstance(seen, Heard):
                late = told.late[seen.request_id]
                assert rows.get(seen.request_id) == late, f"{where}: lost what {seen.request_id} came to"
        for (kind, name), states in _fair_states(pull.seen).items():
            assert state_of(store, kind, name) in states, f"{where}: {kind} {name} is not one of {states}"
    verified = ArchiveReader(folder / "archive").verify()
    if (
        pull.fate == "scattered"
    ):  # of a batch that nobody was told of, a later record may be there without an earlier one
        for segment in verified.segments:
            assert segment.fault is None and not segment.undecodable, where
        assert not verified.missing and not verified.torn_bytes, where
    else:
        assert verified.ok, f"{where}: {verified}"
    async with opened(folder, **settings) as again:
        assert await rows_of(again) == rows, f"{where}: another start changed rows"
        assert again.recovery.interrupted == 0, where


async def rows_of(store: Store) -> dict[str, Settled]:
    """All requests with their attempts; fails when the sums over them are not the sums told."""
    page = await store.usage.page(UsageFilter(), limit=1000)
    rows = {}
    for request in page.requests:
        detail = await store.usage.request(request.request_id)
        assert detail is not None
        rows[request.request_id] = Settled(detail.request, detail.attempts)
    totals = await store.usage.totals(UsageFilter())
    assert totals.requests == len(page.requests) == len(rows)
    assert totals.cost_nanos == sum(row.request.cost_nanos or 0 for row in rows.values())
    return rows


def state_of(store: Store, kind: str, name: str) -> object:
    """How a key or provider is: a key's time of revocation or "valid", a provider's secret; None: it is not there."""
    if kind == "key":
        key = store.directory.key_by_id(name)
        return None if key is None else key.revoked_unix_s or "valid"
    for organisation in store.directory.organisations():
        for provider in store.directory.providers(organisation.organisation_id):
            if provider.name == name:
                return store.directory.secret(provider)
    return None


def _fair_states(seen: list[object]) -> dict[tuple[str, str], list[object]]:
    """What each key and provider may be: as it was last confirmed, or as somebody has asked for since."""
    states: dict[tuple[str, str], list[object]] = {}
    for one in seen:
        if isinstance(one, Asked):
            states.setdefault((one.kind, one.name), [None]).append(one.state)
        elif isinstance(one, Changed):
            states[one.kind, one.name] = [one.state]
    return states
