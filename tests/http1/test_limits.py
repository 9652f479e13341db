"""The defaults that the documentation states."""

from appliance.http1.limits import Limits


def test_defaults() -> None:
    limits = Limits()
    assert (limits.head_bytes, limits.header_count, limits.trailer_bytes) == (65536, 100, 8192)
    assert limits.body_bytes == 32 * 2**20


def test_chunk_overhead_follows_the_body_limit() -> None:
    assert Limits(body_bytes=8_000_000).chunk_overhead_bytes == 1_000_000 + 16_384
    assert Limits(body_bytes=0).chunk_overhead_bytes == 16_384
