"""Which certificates are believed. The rule: the operator's bundle, then the environment's, the system's, certifi's.

A frozen binary carries an OpenSSL whose built-in paths may not exist on this machine, so the known ones are tried.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

import certifi

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def bundle_path(setting: str, environment: Mapping[str, str] = os.environ) -> str:
    """The file of trusted roots: the setting, `SSL_CERT_FILE`, a known system path, or certifi's."""
    for path in (setting, environment.get("SSL_CERT_FILE", "")):
        if path:
            return path
    return next((path for path in SYSTEM_BUNDLES if Path(path).exists()), certifi.where())


def client_context(bundle: str) -> ssl.SSLContext:
    """A context that verifies names and certificates and offers HTTP/1.1 alone. Raises OSError, ssl.SSLError."""
    context = ssl.create_default_context(cafile=bundle)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # some builds of Python leave that to the system's configuration
    context.set_alpn_protocols(["http/1.1"])
    return context
