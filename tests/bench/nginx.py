"""nginx as the provider of canned answers and as the contestant. The rule: one worker each, settings stated here.

The contestant writes an access log, as the gateway does; it keeps request bodies in memory (256 KiB), as the gateway
does, instead of in files; it buffers plain answers and passes streams on at once; it keeps connections on both sides.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from tests.bench import workload

_COMMON = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
{user}
worker_rlimit_nofile {files};
events {{ worker_connections {connections}; multi_accept on; use epoll; }}
http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 32m;
  client_body_buffer_size 256k;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  server_tokens off;
  tcp_nodelay on;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_read_timeout 1h;
  {access_log}
{servers}
}}
"""

_CANNED = """
  server {{
    {listen}
    {certificate}
    location / {{ default_type application/json; return 200 '{answer}'; }}
    location = /v1/models {{ default_type application/json; return 200 '{models}'; }}
  }}
"""

_STREAM_FRONT = """
  upstream streams {{ server unix:{socket}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    {listen}
    {certificate}
    location / {{ proxy_buffering off; proxy_pass http://streams; }}
  }}
"""

_PROXIED = """
  upstream provider_{name} {{ server {host}:{to}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096 reuseport;
    location / {{ {tls} proxy_buffering {buffering}; proxy_pass {scheme}://provider_{name}; }}
  }}
"""

_CHECKED_TLS = (
    "proxy_ssl_protocols TLSv1.3; proxy_ssl_server_name on; proxy_ssl_name localhost; "
    "proxy_ssl_verify on; proxy_ssl_trusted_certificate {certificate};"
)


def _written(folder: Path, servers: str, files: int, access_log: bool) -> list[str]:
    folder.mkdir()
    (folder / "nginx.conf").write_text(
        _COMMON.format(
            folder=folder,
            files=files,
            # nginx closes idle connections when a sixteenth is left of these: files are to be the only limit.
            connections=files * 5 // 4,
            # As root the workers would otherwise be another user, who may not enter the run's folder.
            user="user root;" if os.geteuid() == 0 else "",
            access_log=f"access_log {folder}/access.log combined;" if access_log else "access_log off;",
            servers=servers,
        )
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def _listens(hosts: Sequence[str], port: int, ssl: str) -> str:
    return " ".join(f"listen {host}:{port}{ssl} backlog=4096;" for host in hosts)


def provider_command(
    folder: Path,
    files: int,
    hosts: Sequence[str],
    ports: dict[str, int],
    certificate: Path,
    key: Path,
    stream_socket: Path,
) -> list[str]:
    """Write the provider's configuration: canned answers plain and over TLS, and TLS before the stream server."""
    shown = f"ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;"
    canned = {"answer": workload.answer().decode(), "models": workload.models().decode()}
    servers = _CANNED.format(listen=_listens(hosts, ports["answers"], ""), certificate="", **canned)
    servers += _CANNED.format(listen=_listens(hosts, ports["answers_tls"], " ssl"), certificate=shown, **canned)
    servers += _STREAM_FRONT.format(
        listen=_listens(hosts, ports["streams_tls"], " ssl"), certificate=shown, socket=stream_socket
    )
    return _written(folder, servers, files, access_log=False)


def contestant_command(
    folder: Path, files: int, ports: dict[str, int], host: str, upstream: dict[str, int], certificate: Path
) -> list[str]:
    """Write the configuration of `proxy_pass`: one port for each of the provider's (see `provider.KINDS`)."""
    servers = ""
    for name, port in ports.items():
        tls = name.endswith("_tls")
        servers += _PROXIED.format(
            name=name,
            port=port,
            host=host,
            to=upstream[name],
            tls=_CHECKED_TLS.format(certificate=certificate) if tls else "",
            scheme="https" if tls else "http",
            buffering="off" if name.startswith("streams") else "on",
        )
    return _written(folder, servers, files, access_log=True)
