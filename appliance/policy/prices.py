"""What a token costs, by (provider's price list, model, tier). The rule: an unknown price is None, never zero.

The rows come from prices.json, which packaging/compile-prices writes from the genai-prices package (MIT); the file
says its source and date. The composition root reads the file and hands the bytes in. Operators' rows go before all.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import msgspec

from appliance.domain.money import Rates
from appliance.domain.tier import canonical_tier

PRICES_FILE = "prices.json"
"""The data file's name, beside this module."""

PICOS_PER_USD_PER_MILLION = 1_000_000

MOST_CACHED = 4096
LONGEST_MODEL = 200
"""Model names come from callers: longer ones have no price, and the cache of answers is emptied when full."""

_DATED = re.compile(r"[-@](?:20\d\d-\d\d-\d\d|20\d{6})$", re.ASCII)

Period = list[str | int | None]
"""[from ISO date or "", input, output, cached, cache write, for an hour (, threshold, the five above it)].

A bare date: unknown from then.
"""

Override = tuple[str, str, str]
"""(price_as, model, tier) of an operator's row; tier "default" is what holds where no tier is sent."""


class _Row(msgspec.Struct, frozen=True):
    names: list[str]
    prefixes: list[str]
    tiers: dict[str, list[Period]]
    context: int | None = None


class _Document(msgspec.Struct, frozen=True):
    source: str
    licence: str
    date: str
    tiers_complete: list[str]
    providers: dict[str, msgspec.Raw]


class _List:
    """One provider's rows: by exact name, and by prefix in the order of the list."""

    __slots__ = ("exact", "prefixes", "rows")

    def __init__(self, rows: dict[str, _Row]) -> None:
        self.rows = rows
        self.exact = dict(rows)
        self.prefixes: list[tuple[str, _Row]] = []
        for row in rows.values():
            for name in row.names:
                self.exact.setdefault(name, row)
            self.prefixes.extend((prefix, row) for prefix in row.prefixes)
        self.prefixes.sort(key=lambda pair: -len(pair[0]))

    def named(self, model: str) -> _Row | None:
        """The row of an id: as listed, or as the family of a dated snapshot."""
        if (row := self.exact.get(model)) is not None:
            return row
        found = _DATED.search(model)
        return self.exact.get(model[: found.start()]) if found else None

    def find(self, model: str) -> _Row | None:
        """The same, or else by the longest prefix listed."""
        if (row := self.named(model)) is not None:
            return row
        return next((row for prefix, row in self.prefixes if model.startswith(prefix)), None)


class PriceTable:
    """The prices that hold on one day. `data`: the bytes of prices.json; `on`: an ISO date, "" for the file's own.

    A provider's list is decoded when it is first asked for. Raises msgspec.DecodeError or ValidationError on a file
    that is not one of ours.
    """

    def __init__(self, data: bytes, overrides: Mapping[Override, Rates] | None = None, on: str = "") -> None:
        document = msgspec.json.decode(data, type=_Document)
        self.source = document.source
        self.date = document.date
        self._on = max(on, document.date)
        self._complete = frozenset(document.tiers_complete)
        self._raw = document.providers
        self._lists: dict[str, _List | None] = {}
        self.overrides = dict(overrides or {})
        """The operators' rows; replaced whole, so that what was derived from them can be told to be old."""
        self._answers: dict[tuple[str, str, str | None], Rates | None] = {}
        self._names: dict[tuple[str, str, str | None], str] = {}
        self._named: dict[tuple[str, str], bool] = {}

    def override(self, overrides: Mapping[Override, Rates]) -> None:
        """From now on these rows of the operator's hold instead of those before."""
        self.overrides = dict(overrides)
        self._answers.clear()
        self._names.clear()

    def rates(self, price_as: str, model: str, tier: str | None) -> Rates | None:
        """The rates of one model on one tier (None: no tier was sent or told, the default holds); None: unknown.

        A dated snapshot without a row of its own has the price of its family.
        """
        try:
            return self._answers[price_as, model, tier]
        except KeyError:
            return self._answer(price_as, model, tier)

    def names(self, price_as: str, model: str) -> bool:
        """Whether the list, or an operator's row, has this very model or the family of its dated snapshot.

        A prefix is not enough: what follows it may be any text of a caller's.
        """
        key = (price_as, model)
        known = self._named.get(key)
        if known is None:
            listed = self._list(price_as)
            known = len(model) <= LONGEST_MODEL and (
                (listed is not None and listed.named(model.lower()) is not None)
                or any(key == (of, own) for of, own, _ in self.overrides)
            )
            if len(self._named) >= MOST_CACHED:
                self._named.clear()
            self._named[key] = known
        return known

    def row(self, price_as: str, model: str, tier: str | None) -> str:
        """The name of the row that `rates` answers from, as `list/model/tier@date`; `own:` before an operator's."""
        key = (price_as, model, tier)
        name = self._names.get(key)
        if name is None:
            word = canonical_tier(tier or "default")
            if (price_as, model, word) in self.overrides:
                name = f"own:{price_as}/{model}/{word}"
            else:
                name = f"{price_as}/{self._name(price_as, model.lower())}/{word}@{self.date}"
            if len(self._names) >= MOST_CACHED:
                self._names.clear()
            self._names[key] = name
        return name

    def _name(self, price_as: str, model: str) -> str:
        found, listed = self._find(price_as, model), self._list(price_as)
        rows = listed.rows.items() if listed is not None else ()
        return next((name for name, row in rows if row is found), "")

    def flex_capable(self, price_as: str, model: str) -> bool | None:
        """Whether the model has a flex tier: told by its price; None where the list does not tell."""
        if self.rates(price_as, model, "flex") is not None:
            return True
        known = price_as in self._complete and self._find(price_as, model.lower()) is not None
        return False if known else None

    def context_tokens(self, price_as: str, model: str) -> int | None:
        """The context window of a model as the list has it; None: not told."""
        row = self._find(price_as, model.lower())
        return None if row is None else row.context

    def models(self, price_as: str) -> tuple[str, ...]:
        """The ids of the models in this list, operators' rows included, in the order of the list."""
        listed = self._list(price_as)
        own = (model for provider, model, _ in self.overrides if provider == price_as)
        return tuple(dict.fromkeys([*(listed.rows if listed else ()), *own]))

    def _answer(self, price_as: str, model: str, tier: str | None) -> Rates | None:
        if len(model) > LONGEST_MODEL or (tier is not None and len(tier) > LONGEST_MODEL):
            return None
        found = self._look_up(price_as, model, canonical_tier(tier or "default"))
        if len(self._answers) >= MOST_CACHED:
            self._answers.clear()
        self._answers[price_as, model, tier] = found
        return found

    def _look_up(self, price_as: str, model: str, tier: str) -> Rates | None:
        if (own := self.overrides.get((price_as, model, tier))) is not None:
            return own
        row = self._find(price_as, model.lower())
        periods = row.tiers.get(tier) if row else None
        current = [period for period in periods or () if str(period[0]) <= self._on]
        return _rates(current[-1][1:]) if current else None

    def _find(self, price_as: str, model: str) -> _Row | None:
        listed = self._list(price_as)
        return listed.find(model) if listed and len(model) <= LONGEST_MODEL else None

    def _list(self, price_as: str) -> _List | None:
        if price_as not in self._lists:
            raw = self._raw.get(price_as)
            if raw is None:
                return None
            self._lists[price_as] = _List(msgspec.json.decode(raw, type=dict[str, _Row]))
        return self._lists[price_as]


def _rates(numbers: list[str | int | None]) -> Rates | None:
    if not numbers:
        return None
    whole = msgspec.convert(numbers, list[int | None])
    read, written, cached, cache_write, cache_write_1h = whole[:5]
    if read is None or written is None:
        return None
    if len(whole) == 5:
        return Rates(read, written, cached, cache_write, cache_write_1h)
    return Rates(read, written, cached, cache_write, cache_write_1h, whole[5], _rates(numbers[6:]))


class _UsdRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    input: Decimal | float
    output: Decimal | float = 0.0
    cached: Decimal | float | None = None
    cache_write: Decimal | float | None = None
    cache_write_1h: Decimal | float | None = None


def read_overrides(document: object) -> dict[Override, Rates]:
    """Operators' prices: {price list: {model: {tier: row}}}, a row as _UsdRow, in dollars per million tokens.

    Raises ValueError with a sentence that names the row.
    """
    try:
        rows = msgspec.convert(document, dict[str, dict[str, dict[str, dict[str, object]]]])
    except msgspec.ValidationError as wrong:
        raise ValueError(f"prices: {wrong}") from None
    overrides: dict[Override, Rates] = {}
    for price_as, models in rows.items():
        for model, tiers in models.items():
            for tier, numbers in tiers.items():
                try:
                    row = msgspec.convert(numbers, _UsdRow)
                    overrides[price_as, model, canonical_tier(tier)] = Rates(
                        _picos(row.input),
                        _picos(row.output),
                        None if row.cached is None else _picos(row.cached),
                        None if row.cache_write is None else _picos(row.cache_write),
                        None if row.cache_write_1h is None else _picos(row.cache_write_1h),
                    )
                except (msgspec.ValidationError, ValueError) as wrong:
                    raise ValueError(f"prices: {price_as}.{model}.{tier}: {wrong}") from None
    return overrides


def _picos(usd_per_million: Decimal | float) -> int:
    """Picodollars per token; through the shortest decimal form, so that 0.075 means 0.075."""
    try:
        picos = Decimal(str(usd_per_million)) * PICOS_PER_USD_PER_MILLION
        if not 0 <= picos <= 10**15:
            raise ValueError("a price must be a number of dollars, zero or more")
        return int(picos.to_integral_value(rounding="ROUND_HALF_UP"))
    except InvalidOperation:
        raise ValueError("a price must be a number of dollars") from None
