import pytest

from appliance.domain.profile import NOTHING_KNOWN, Profile


@pytest.mark.parametrize(
    ("base_url", "parts"),
    [
        ("https://api.test/v1", ()),
        ("https://{resource}.test/openai", ("resource",)),
        ("https://{location}.test/{project}/{location}", ("location", "project")),
    ],
)
def test_what_the_operator_must_fill_in(base_url: str, parts: tuple[str, ...]) -> None:
    assert Profile("x", base_url).own_parts == parts


def test_what_is_not_known_is_the_worst() -> None:
    assert NOTHING_KNOWN.policy.trains == NOTHING_KNOWN.policy.retains == NOTHING_KNOWN.policy.zdr == "unknown"
    assert NOTHING_KNOWN.abort_billing == "partial"
