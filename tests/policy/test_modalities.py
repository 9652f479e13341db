"""What models read and write, and that the table that ships says it of models that are raced."""

from importlib import resources

import pytest

from appliance.policy.modalities import MODALITIES_FILE, Modalities

SHIPPED = Modalities(resources.files("appliance.policy").joinpath(MODALITIES_FILE).read_bytes())


@pytest.mark.parametrize(
    ("price_as", "model", "read", "written"),
    [
        ("openai", "gpt-5.4-mini", {"text", "image", "file"}, ["text"]),
        ("openai", "GPT-5.4-mini", {"text", "image", "file"}, ["text"]),
        ("openai", "text-embedding-3-small", {"text"}, ["embedding"]),
        ("anthropic", "claude-sonnet-5", {"text", "image", "file"}, ["text"]),
        ("google", "gemini-3.8-flash", {"text", "image", "file", "audio", "video"}, ["text"]),
    ],
)
def test_the_shipped_table(price_as: str, model: str, read: set[str], written: list[str]) -> None:
    found = SHIPPED.of(price_as, model)
    assert found is not None
    assert (set(found["input"]), found["output"]) == (read, written)


def test_a_dated_snapshot_is_its_model() -> None:
    table = Modalities(b'{"lists":{"p":{"m-1":"text image > text","m-1-20240101":"text > text"}}}')
    assert table.of("p", "m-1-2026-03-02") == table.of("p", "m-1") == {"input": ["text", "image"], "output": ["text"]}
    assert table.of("p", "m-1-20240101") == {"input": ["text"], "output": ["text"]}


def test_what_is_not_listed_is_unknown() -> None:
    assert SHIPPED.of("openai", "no-such-model") is SHIPPED.of("nobody", "gpt-5.4-mini") is Modalities().of("a", "b")
    assert SHIPPED.of("openai", "no-such-model") is None
