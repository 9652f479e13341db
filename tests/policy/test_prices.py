"""The price table, against the figures that providers publish (dollars per million tokens, November 2026)."""

from pathlib import Path

import msgspec
import pytest

from appliance.domain.money import Rates, cost_of
from appliance.domain.tokens import Tokens
from appliance.policy import prices
from appliance.policy.prices import MOST_CACHED, PRICES_FILE, PriceTable, read_overrides

DATA = (Path(prices.__file__).parent / PRICES_FILE).read_bytes()


@pytest.fixture(scope="module")
def table() -> PriceTable:
    return PriceTable(DATA)


PUBLISHED = [
    # price list, model, tier, input, cached, output
    ("openai", "gpt-5.4-mini", "default", 0.75, 0.075, 4.5),
    ("openai", "gpt-5.4-mini", None, 0.75, 0.075, 4.5),
    ("openai", "gpt-5.4-mini", "flex", 0.375, 0.0375, 2.25),
    ("openai", "gpt-5.4-mini", "priority", 1.5, 0.15, 9),
    ("openai", "gpt-5.4-mini", "fast", 1.5, 0.15, 9),
    ("openai", "gpt-5.4", "flex", 1.25, 0.13, 7.5),
    ("openai", "gpt-5.4-nano", "flex", 0.1, 0.01, 0.625),
    ("openai", "gpt-5.5", "priority", 12.5, 1.25, 75),
    ("openai", "gpt-5.6-sol", "flex", 2, 0.2, 10),
    ("openai", "gpt-6.1-sol", "flex", 1, 0.05, 5),
    ("openai", "gpt-6.1-terra", "default", 1, 0.05, 5),
    ("openai", "gpt-6-astra", "priority", 20, 2, 100),
    ("openai", "gpt-6-luna", "flex", 0.05, 0.005, 0.25),
    ("openai", "gpt-4.1", "priority", 3.5, 0.875, 14),
    ("openai", "gpt-5-mini", "flex", 0.125, 0.0125, 1),
    ("openai", "gpt-5.3-codex", "priority", 3.5, 0.35, 28),
    ("anthropic", "claude-opus-5-5", None, 4, 0.2, 20),
    ("google", "gemini-4-argon", "flex", 1, 0.05, 5),
    ("google", "gemini-3.8-flash", "flex", 0.375, 0.0375, 1.875),
    ("google", "gemini-3.8-flash", "standard", 0.75, 0.075, 3.75),
    ("google", "gemini-2.5-flash", "flex", 0.15, 0.03, 1.25),
    ("openrouter", "openai/gpt-5.4-mini", "flex", 0.375, 0.0375, 2.25),
    ("fireworks", "glm-5p3", "priority", 1.75, 0.325, 5.5),
]


@pytest.mark.parametrize(("price_as", "model", "tier", "read", "cached", "written"), PUBLISHED)
def test_published_prices(
    table: PriceTable, price_as: str, model: str, tier: str | None, read: float, cached: float, written: float
) -> None:
    rates = table.rates(price_as, model, tier)
    assert rates is not None
    million = 1_000_000
    assert (rates.input, rates.cached, rates.output) == tuple(round(n * million) for n in (read, cached, written))


def test_flex_is_half_of_the_standard_price_at_openai(table: PriceTable) -> None:
    raced = [model for model in table.models("openai") if table.rates("openai", model, "flex")]
    assert len(raced) >= 20
    for model in raced:
        flex, default = table.rates("openai", model, "flex"), table.rates("openai", model, "default")
        assert flex is not None
        assert default is not None
        assert (2 * flex.input, 2 * flex.output) == (default.input, default.output), model


def test_long_context_has_its_own_rates(table: PriceTable) -> None:
    rates = table.rates("openai", "gpt-5.5", "flex")
    assert rates is not None
    assert rates.long == Rates(5_000_000, 22_500_000, 500_000)
    assert rates.long_context_tokens == 272_000
    dear = cost_of(Tokens(272_001, 0, 0, 0, 0, "known"), rates)
    assert dear.nanos == 272_001 * 5_000


def test_cache_writes_are_billed_where_the_list_says_so(table: PriceTable) -> None:
    written = table.rates("openai", "gpt-5.6-terra", "flex")
    assert written is not None
    assert written.cache_write == 1_250_000
    plain = table.rates("openai", "gpt-5.4-mini", "flex")
    assert plain is not None
    assert plain.cache_write is None


def test_what_is_cached_for_an_hour_costs_twice_the_input_at_anthropic(table: PriceTable) -> None:
    all_rates = [table.rates("anthropic", model, None) for model in table.models("anthropic")]
    steps = [step for rates in all_rates if rates is not None for step in (rates, rates.long) if step is not None]
    cached = [step for step in steps if step.cache_write is not None]
    assert len(cached) >= 15
    assert [step.cache_write_1h for step in cached] == [2 * step.input for step in cached]


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-5.4-mini-2026-03-05", "gpt-5.4-mini"),
        ("gpt-5.4-mini-2026-03-17", "gpt-5.4-mini"),
        ("GPT-5.4-mini", "gpt-5.4-mini"),
        ("gpt-6-luna-2027-01-01", "gpt-6-luna"),
    ],
)
def test_a_dated_snapshot_has_the_price_of_its_family(table: PriceTable, model: str, family: str) -> None:
    assert table.rates("openai", model, "flex") == table.rates("openai", family, "flex") is not None


def test_a_snapshot_with_a_row_of_its_own_keeps_it(table: PriceTable) -> None:
    assert table.rates("openai", "gpt-4o-2024-05-13", None) != table.rates("openai", "gpt-4o", None)


@pytest.mark.parametrize(
    ("price_as", "model", "tier"),
    [
        ("openai", "no-such-model", "flex"),
        ("openai", "gpt-4.1", "flex"),
        ("openai", "gpt-5.5-codex", "flex"),
        ("openai", "gpt-5.4-mini", "scale"),
        ("openai", "gpt-5.4-mini", "auto"),
        ("openai", "gpt-realtime", None),  # audio tokens are dearer, and usage does not tell them apart
        ("openai", "gpt-5.4-mini-2026-03", None),
        ("openai", "x" * 100_000, None),
        ("", "gpt-5.4-mini", None),
        ("nobody", "gpt-5.4-mini", None),
    ],
)
def test_an_unknown_price_is_none(table: PriceTable, price_as: str, model: str, tier: str | None) -> None:
    assert table.rates(price_as, model, tier) is None
    assert table.rates(price_as, model, tier) is None, "asked again"


def test_no_price_is_zero_unless_it_is_free(table: PriceTable) -> None:
    lists = msgspec.json.decode(DATA)["providers"]
    for price_as in lists:
        for model in table.models(price_as):
            rates = table.rates(price_as, model, None)
            if rates is not None and not model.endswith(":free"):
                assert rates.input + rates.output > 0, (price_as, model)


def test_prices_announced_for_later_hold_from_their_day() -> None:
    promotion, after = PriceTable(DATA, on="2026-12-31"), PriceTable(DATA, on="2027-01-01")
    before, later = (t.rates("google", "gemini-3.8-flash", None) for t in (promotion, after))
    assert before is not None
    assert later is not None
    assert (before.input, later.input) == (750_000, 1_500_000)
    assert promotion.rates("google", "gemini-3.8-flash", "flex") is not None
    assert after.rates("google", "gemini-3.8-flash", "flex") is None, "not announced: unknown"


@pytest.mark.parametrize(
    ("price_as", "model", "capable"),
    [
        ("openai", "gpt-5.4-mini", True),
        ("openai", "gpt-5.4-mini-2026-03-17", True),
        ("openai", "o3", True),
        ("openai", "gpt-4.1", False),
        ("openai", "gpt-5.3-codex", False),
        ("openai", "gpt-5.5-codex", False),
        ("openai", "gpt-9", None),
        ("google", "gemini-3.8-flash", True),
        ("google", "gemini-3.1-pro-preview", None),
        ("nobody", "gpt-5.4-mini", None),
    ],
)
def test_flex_capable(table: PriceTable, price_as: str, model: str, capable: bool | None) -> None:
    assert table.flex_capable(price_as, model) is capable


def test_operators_rows_go_first() -> None:
    own = read_overrides(
        {
            "openai": {"gpt-5.4-mini": {"flex": {"input": 0.3, "output": 2, "cached": "0.03"}}},
            "local": {"llama": {"default": {"input": 0, "output": 0}}},
            "lab": {"mine": {"default": {"input": 1, "cache_write": 1.25, "cache_write_1h": 2}}},
        }
    )
    table = PriceTable(DATA, own)
    assert table.rates("openai", "gpt-5.4-mini", "flex") == Rates(300_000, 2_000_000, 30_000)
    assert table.rates("openai", "gpt-5.4-mini", None) == PriceTable(DATA).rates("openai", "gpt-5.4-mini", None)
    assert table.rates("local", "llama", None) == Rates(0, 0)
    assert table.rates("lab", "mine", None) == Rates(1_000_000, 0, None, 1_250_000, 2_000_000)
    assert table.models("local") == ("llama",)
    assert "gpt-5.4-mini" in table.models("openai")


@pytest.mark.parametrize(
    "document",
    [
        {"openai": {"m": {"flex": {"output": 1}}}},
        {"openai": {"m": {"flex": {"input": -1}}}},
        {"openai": {"m": {"flex": {"input": "dear"}}}},
        {"openai": {"m": {"flex": {"input": "NaN"}}}},
        {"openai": {"m": {"flex": {"input": 1, "inputs": 1}}}},
        {"openai": {"m": 3}},
        [],
    ],
)
def test_operators_rows_that_are_wrong_are_refused(document: object) -> None:
    with pytest.raises(ValueError, match="prices"):
        read_overrides(document)


def test_strangers_cannot_fill_the_memory() -> None:
    table = PriceTable(DATA)
    for number in range(MOST_CACHED + 10):
        table.rates("openai", f"model-{number}", None)
    assert len(table._answers) <= MOST_CACHED
    assert table.rates("openai", "gpt-5.4-mini", "flex") is not None


def test_a_name_is_known_only_whole(table: PriceTable) -> None:
    """What follows a listed prefix has a price, but may be any text of a caller's."""
    for model in ("claude-sonnet-5", "Claude-Sonnet-5", "claude-sonnet-5-20260101", "claude-sonnet-5@20260101"):
        assert table.names("anthropic", model), model
    for model in (
        "claude-haiku-4-5-and my words",
        "claude-sonnet-5@my words",
        "claude-sonnet-5\n20260101",
        "x",
        "",
        "claude-sonnet-5-" + "0" * 300,
    ):
        assert not table.names("anthropic", model), model
    assert table.rates("anthropic", "claude-haiku-4-5-and my words", "default") is not None
    assert not table.names("nobody", "claude-sonnet-5")
    own = PriceTable(DATA, {("lab", "mine", "flex"): Rates(1, 1)})
    assert own.names("lab", "mine") and not own.names("lab", "mine too")


def test_the_longest_prefix_counts_and_an_exact_name_before_it() -> None:
    def row(price: int, *prefixes: str) -> dict[str, object]:
        return {"names": [], "prefixes": prefixes, "tiers": {"default": [["", price, 0, None, None, None]]}}

    rows = {"a": row(1, "m-"), "b": row(2, "m-lite-"), "m-lite-x": row(3)}
    document = {"source": "", "licence": "", "date": "2026-11-20", "tiers_complete": [], "providers": {"p": rows}}
    table = PriceTable(msgspec.json.encode(document))
    found = [table.rates("p", model, None) for model in ("m-big", "m-lite-y", "m-lite-x")]
    assert [rates.input for rates in found if rates is not None] == [1, 2, 3]


def test_the_file_says_its_source_date_and_licence(table: PriceTable) -> None:
    assert "genai-prices" in table.source
    assert table.date.startswith("20")
    assert "MIT" in msgspec.json.decode(DATA)["licence"]


def test_a_price_names_its_row(table: PriceTable) -> None:
    assert table.row("openai", "gpt-5.4-mini", None) == f"openai/gpt-5.4-mini/default@{table.date}"
    assert table.row("openai", "gpt-5.4-mini-2026-03-17", "fast") == f"openai/gpt-5.4-mini/priority@{table.date}"
    own = PriceTable(DATA, read_overrides({"openai": {"gpt-5.4": {"flex": {"input": 1, "output": 2}}}}))
    assert own.row("openai", "gpt-5.4", "flex") == "own:openai/gpt-5.4/flex"
    assert own.row("openai", "gpt-5.4", "default").startswith("openai/gpt-5.4/default@")


def test_the_context_window_is_told_where_it_is_listed(table: PriceTable) -> None:
    assert table.context_tokens("anthropic", "claude-sonnet-4-5") is not None
    assert table.context_tokens("openai", "nobody") is None
