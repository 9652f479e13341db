"""The table of modalities is compiled as its compiler says, and the file that ships is one of its making."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

from appliance.policy.modalities import Modalities
from appliance.policy.prices import PriceTable

ROOT = Path(__file__).parents[2]
COMPILER = ROOT / "packaging" / "compile-modalities"
SHIPPED = ROOT / "appliance" / "policy" / "modalities.json"
PRICES = ROOT / "appliance" / "policy" / "prices.json"

TABLE: dict[str, dict[str, object]] = {
    "sample_spec": {"mode": "one of many"},
    "sees": {
        "litellm_provider": "openai",
        "mode": "chat",
        "supports_vision": True,
        "supports_pdf_input": True,
        "supports_audio_input": False,
    },
    "Hears": {
        "litellm_provider": "openai",
        "mode": "responses",
        "supports_audio_input": True,
        "supports_audio_output": True,
    },
    "gemini/draws": {
        "litellm_provider": "gemini",
        "mode": "chat",
        "supported_modalities": ["text", "video", "smell"],
        "supported_output_modalities": ["text", "image"],
    },
    "gemini/embeds": {"litellm_provider": "gemini", "mode": "embedding", "supported_output_modalities": ["text"]},
    "fireworks_ai/accounts/fireworks/models/plain": {"litellm_provider": "fireworks_ai", "mode": "chat"},
    "paints": {"litellm_provider": "openai", "mode": "image_generation"},
    "elsewhere": {"litellm_provider": "nobody_we_know", "mode": "chat"},
}


def compiled(folder: Path) -> Path:
    table, out = folder / "table.json", folder / "modalities.json"
    table.write_text(json.dumps(TABLE))
    command = [sys.executable, str(COMPILER), str(table), "--version", "1.2.3", "--out", str(out)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return out


def test_rows_are_taken_by_our_lists_and_names(tmp_path: Path) -> None:
    written = json.loads(compiled(tmp_path).read_bytes())
    assert written["source"] == "LiteLLM 1.2.3, its model table"
    assert written["lists"] == {
        "fireworks": {"plain": "text > text"},
        "google": {"draws": "text video > text image", "embeds": "text > embedding"},
        "openai": {"hears": "text audio > text audio", "sees": "text image file > text"},
    }


def test_what_is_compiled_can_be_read(tmp_path: Path) -> None:
    found = Modalities(compiled(tmp_path).read_bytes()).of("openai", "Hears")
    assert found == {"input": ["text", "audio"], "output": ["text", "audio"]}


def test_the_shipped_file_is_of_this_compiler() -> None:
    """The table that it was made from is not installed; what any table would give can be held against the file."""
    compiler = runpy.run_path(str(COMPILER))
    shipped = json.loads(SHIPPED.read_bytes())
    assert SHIPPED.read_text() == json.dumps(shipped, indent=0) + "\n"
    assert set(shipped) == {"source", "licence", "lists"}
    assert list(shipped["lists"]) == sorted(shipped["lists"])
    assert set(shipped["lists"]) <= set(compiler["LISTS"].values())
    order = compiler["ORDER"]
    for models in shipped["lists"].values():
        assert list(models) == sorted(models)
        for model, said in models.items():
            assert model == model.lower()
            for kinds in (part.split() for part in said.split(" > ")):
                assert kinds == [kind for kind in order if kind in kinds]
                assert kinds, model


def test_each_list_is_one_that_has_prices() -> None:
    """A list under another name than the price list's would never be asked."""
    prices = PriceTable(PRICES.read_bytes())
    unpriced = [listed for listed in runpy.run_path(str(COMPILER))["LISTS"].values() if not prices.models(listed)]
    assert unpriced == []
