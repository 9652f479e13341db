"""The profiles that are shipped, and the operator's own before them."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from appliance.domain.tier import KNOWN_TIERS
from appliance.request.dialects import DIALECTS
from appliance.settings import SettingsFault
from appliance.upstream.profile_files import FOLDER, all_profiles, shipped

WANTED = """openai anthropic gemini xai zai deepinfra together groq mistral deepseek fireworks cerebras openrouter
    perplexity moonshot azure bedrock vertex ollama vllm llamacpp lmstudio""".split()
DOCS = Path(__file__).parent.parent.parent / "appliance" / "docs" / "profiles.md"


def test_the_families_that_there_are() -> None:
    assert sorted(shipped()) == sorted(WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_a_shipped_profile_is_sound(name: str) -> None:
    profile = shipped()[name]
    url = urlsplit(profile.base_url)
    local = url.hostname in ("localhost", "127.0.0.1")
    assert url.scheme == ("http" if local else "https")
    assert profile.key is not local
    assert bool(profile.variable) is profile.key
    assert set(profile.tiers) <= KNOWN_TIERS
    assert profile.dialects.keys() <= DIALECTS.keys()
    assert profile.policy.trains
    assert profile.kind in ("openai", "anthropic", "gemini") or "openai_chat" in profile.dialects


@pytest.mark.parametrize("name", WANTED)
def test_the_documentation_says_the_same(name: str) -> None:
    rows = re.findall(rf"^\| `{name}` \| (.*) \| (.*) \| (.*) \| (.*) \|$", DOCS.read_text("utf-8"), re.M)
    profile = shipped()[name]
    tiers = ", ".join(profile.tiers) or "–"
    assert rows == [(tiers, profile.abort_billing, profile.policy.trains, profile.policy.grade)]


def test_an_operators_own_goes_before(tmp_path: Path) -> None:
    assert all_profiles(tmp_path) == shipped()
    (tmp_path / FOLDER).mkdir()
    own = tmp_path / FOLDER / "mine.toml"
    own.write_text('title = "Mine"\nbase_url = "http://10.0.0.1/v1"\n[refusal]\nstatuses = [499]\n')
    (tmp_path / FOLDER / "groq.toml").write_text('title = "Ours"\nbase_url = "http://10.0.0.2/v1"\n')
    (tmp_path / FOLDER / "notes.txt").write_text("no profile")
    found = all_profiles(tmp_path)
    assert len(found) == len(WANTED) + 1
    assert (found["mine"].refusal.statuses, found["groq"].title) == ((499,), "Ours")


@pytest.mark.parametrize(
    "text",
    [
        "title = ",
        'title = "x"',
        'title = "x"\nbase_url = "nowhere"',
        'title = "x"\nbase_url = "https://a.test"\ncolour = "red"',
        'title = "x"\nbase_url = "https://a.test"\nabort_billing = "never"',
        'title = "x"\nbase_url = "https://a.test"\n[dialects]\nopenai_chat = "ftp://b"',
    ],
)
def test_what_cannot_be_read_is_told_with_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "bad.toml").write_text(text)
    with pytest.raises(SettingsFault, match=r"profiles/bad\.toml"):
        all_profiles(tmp_path)
