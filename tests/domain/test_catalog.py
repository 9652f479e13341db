"""A provider in a traceback does not show the headers that an operator gave it."""

from appliance.domain.catalog import Provider


def test_a_providers_text_holds_no_header() -> None:
    provider = Provider("prov_1", "org", "lab", "openai_compatible", "http://a/v1", headers=(("x-team", "hidden"),))
    assert "hidden" not in repr(provider) and "lab" in repr(provider)
