"""A key in a traceback shows nothing that could verify it, or be attacked."""

from appliance.domain.identity import ApiKey


def test_a_keys_text_holds_neither_salt_nor_digest() -> None:
    key = ApiKey("key_1", "pub", "inference", "org", "laptop", b"salty-salt", b"the-digest", 1)
    assert "salt" not in repr(key) and "digest" not in repr(key) and "laptop" in repr(key)
