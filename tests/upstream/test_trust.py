"""Whose certificates are believed."""

import ssl
from pathlib import Path

import certifi
import pytest

from appliance.upstream.trust import SYSTEM_BUNDLES, bundle_path, client_context


def test_the_order_of_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"SSL_CERT_FILE": "/from/environment.pem"}
    assert bundle_path("/from/setting.pem", environment) == "/from/setting.pem"
    assert bundle_path("", environment) == "/from/environment.pem"
    present = {SYSTEM_BUNDLES[1], SYSTEM_BUNDLES[2]}
    monkeypatch.setattr(Path, "exists", lambda path: str(path) in present)
    assert bundle_path("", {}) == SYSTEM_BUNDLES[1]
    present.clear()
    assert bundle_path("", {"SSL_CERT_FILE": ""}) == certifi.where()


def test_a_context_verifies() -> None:
    context = client_context(certifi.where())
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_bundle_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        client_context(str(tmp_path / "none.pem"))
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(ssl.SSLError):
        client_context(str(tmp_path / "empty.pem"))
