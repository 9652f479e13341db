"""Never a byte of content or secret anywhere: canaries wherever a stranger writes, then a search of all files.

A real `startline serve` gets them as prompt, answer, tool argument, header, model, path, query, error body and key, and
functions of each layer raise exceptions that hold them. Then every file that the process wrote is searched: database,
write-ahead log, archive (decompressed), standard output and error, and what it said when it crashed.
"""

import base64
import gzip
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import msgspec
import pytest
import zstandard

from tests.end_to_end.canary_dialects import ask_of_requests, lead_astray, talk_anthropic, talk_gemini
from tests.end_to_end.canary_server import FATAL, LAYERS
from tests.end_to_end.processes import ROOT, Program, command, environment, program, until
from tests.end_to_end.stage import WORLD

MODEL = "gpt-5.4-nano"
TOKEN_BYTES = 14
KINDS = [
    "prompt", "system", "answer", "tool", "argument", "schema", "error", "streamerror", "model", "tier", "path",
    "headername", "headervalue", "agent", "cookie", "host", "badjson", "exception", "wrongkey", "passedkey", "urlkey",
    "adminbody", "adminquery", "username", "metadata", "idempotency", "badmethod", "upload", "expect", "passedtier",
    "query", "place",
]  # fmt: skip
LETTERS = str.maketrans("0123456789", "ghijklmnop")
CORE = {kind: f"Zq{kind}" + os.urandom(8).hex().translate(LETTERS) for kind in KINDS}
"""Plain letters: they stay as they are in JSON, URLs and quotes, so one search finds all of those; and one token."""


def canary(kind: str) -> str:
    """What is sent: the core among characters that every way of escaping changes."""
    return f'{CORE[kind]} "é\n✓/ {CORE[kind]}'


def forms(core: str) -> Iterator[tuple[str, bytes]]:
    """Every form in which a text may have been written down."""
    raw = core.encode()
    yield "as sent, JSON-escaped or URL-encoded", raw
    yield "reversed case", raw.swapcase()
    yield "hex", raw.hex().encode()
    yield "upper hex", raw.hex().upper().encode()
    yield "every byte URL-encoded", b"".join(b"%%%02X" % byte for byte in raw)
    yield "every character JSON-escaped", b"".join(b"\\u%04x" % byte for byte in raw)
    yield "UTF-16", core.encode("utf-16-le")
    for shift in range(3):
        for name, encode in (("base64", base64.b64encode), ("URL-safe base64", base64.urlsafe_b64encode)):
            coded = encode(b"\0" * shift + raw).rstrip(b"=")
            yield f"{name}, shifted by {shift}", coded[4 if shift else 0 : -2]


def test_the_forms_are_found() -> None:
    text = 'before "' + CORE["prompt"] + "é after"
    raw = text.encode()
    written = [
        raw,
        msgspec.json.encode(text),
        repr(raw).encode(),
        quote(text).encode(),
        quote_plus(text).encode(),
        raw.hex().encode(),
        *(base64.b64encode(b"x" * shift + raw) for shift in range(3)),
        *(base64.urlsafe_b64encode(b"x" * shift + raw) for shift in range(3)),
        text.encode("utf-16-le"),
    ]
    for place in written:
        assert any(form in place for _, form in forms(CORE["prompt"])), place
    assert not any(form in b"nothing of the kind" for _, form in forms(CORE["prompt"]))


class Site:
    """A served Startline that can be made to fail, its provider, and a raw way to its port."""

    def __init__(self, folder: Path, provider_url: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.switch = folder / "switch"
        self.switch.write_text("")
        self.environ = environment(
            self.data,
            STARTLINE_LISTEN="127.0.0.1:0",
            STARTLINE_BREAKER_FAILURES="0",
            STARTLINE_ARCHIVE_SEGMENT_BYTES="4096",
            STARTLINE_LOG_LEVEL="debug",
            STARTLINE_ON_STORE_FAILURE="serve",
        )
        self.provider_url = provider_url
        self.output = folder / "server.txt"
        self.secrets: dict[str, str] = {"provider key": f"sk-sim-{os.urandom(20).hex()}"}
        self.process: subprocess.Popen[bytes] | None = None
        self.address = ("", 0)

    def start(self) -> None:
        """Start the server; its output is appended to what is searched in the end."""
        before = self.output.stat().st_size if self.output.exists() else 0
        launcher = str(Path(__file__).parent / "canary_server.py")
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, launcher, str(self.switch), canary("exception"), "serve"],
                cwd=ROOT, env=self.environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

        def look() -> str | None:
            written = self.output.read_bytes()[before:].decode()
            assert self.process is not None and self.process.poll() is None, written
            found = re.search(r'"event":"serving","addresses":\["127.0.0.1:(\d+)"', written)
            return found[1] if found else None

        self.address = ("127.0.0.1", int(until(look, "address", 30)))

    def stop(self) -> int:
        """End it, and say how it ended."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def furnish(self) -> None:
        """The provider, and the first keys, whose file is then deleted as its owner is told to."""
        added = ["provider", "add", "sim", "--kind", "openai_compatible", "--base-url", self.provider_url]
        added += ["--any-model", "--tiers", "flex,default,priority", "--price-as", "openai"]
        command(*added, environ=self.environ, given=self.secrets["provider key"])
        made = command("provider", "add", "other", "--kind", "openai_compatible", "--base-url", "http://127.0.0.1:9",
                       environ=self.environ, given="other-" + CORE["adminbody"])  # fmt: skip
        assert CORE["adminbody"] not in made
        for name, kind, mount in (("claude", "anthropic", "/v1"), ("gem", "gemini", "/v1beta")):
            added = ["provider", "add", name, "--kind", kind, "--any-model"]
            added += ["--base-url", self.provider_url.removesuffix("/v1") + mount]
            command(*added, environ=self.environ, given=self.secrets["provider key"])
        keys = self.data / "first-keys.txt"
        for line in keys.read_text().splitlines()[1:]:
            kind, key = line.split()
            self.secrets[kind] = key
        keys.unlink()

    def client(self, **headers: str) -> httpx.Client:
        base = f"http://127.0.0.1:{self.address[1]}"
        own = {"authorization": f"Bearer {self.secrets['inference']}"} | headers
        return httpx.Client(base_url=base, headers=own, timeout=20, trust_env=False)

    def raw(self, data: bytes, *, until_end: bool = True) -> bytes:
        """Send bytes on a connection of their own; what came back."""
        with socket.create_connection(self.address, 10) as connection:
            connection.sendall(data)
            parts = []
            try:
                while until_end and (part := connection.recv(65_536)):
                    parts.append(part)
            except (TimeoutError, ConnectionResetError):
                pass
            return b"".join(parts)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("canary")
    provider_folder = tmp_path_factory.mktemp("provider")
    arguments = ["simulator", "--port", "0", "--file", str(WORLD)]
    with program(arguments, provider_folder, environment(provider_folder / "data")) as simulator:
        made = Site(folder, _base_url(simulator))
        made.start()
        made.furnish()
        yield made
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait()


def _base_url(simulator: Program) -> str:
    return simulator.says(r"base URL +(\S+)")


def chat(text: str, sim: str = "", **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}
    if sim:
        body["metadata"] = {"simulator": sim}
    return body


def tools() -> list[dict[str, Any]]:
    properties = {canary("schema"): {"type": "string"}}
    function = {"name": "look_up", "description": canary("tool"), "parameters": {"properties": properties}}
    return [{"type": "function", "function": function}]


def _talk(site: Site, client: httpx.Client, chat_path: str, responses_path: str) -> None:
    """Every kind of request, with canaries wherever one can be put. What is to come back is checked loosely."""
    said = f"text={quote(canary('answer'))}"
    failing = f"message={quote(canary('error'))}"
    in_stream = f"message={quote(canary('streamerror'))}"
    prompt = canary("prompt")
    post = client.post
    for more in ({}, {"stream": True}, {"start_within": "20s"}, {"start_within": "20s", "stream": True}):
        answer = post(chat_path, json=chat(prompt, said, **more))
        assert answer.status_code == 200 and CORE["answer"][-4:] in answer.text
        body = {"model": MODEL, "input": prompt, "instructions": canary("system"), **more}
        body["metadata"] = {"simulator": said}
        answer = post(responses_path, json=body)
        assert answer.status_code == 200 and CORE["answer"][-4:] in answer.text
        arguments = f"tool_calls=1,text={quote(canary('argument'))}"
        answer = post(chat_path, json=chat(prompt, arguments, tools=tools(), **more))
        assert answer.status_code == 200
        for fault in ("server_error", "rate_limit_exceeded", "insufficient_quota", "invalid_request", "bad_gateway"):
            answer = post(chat_path, json=chat(prompt, f"refuse={fault},{failing}", **more))
            assert answer.status_code >= 400
        post(chat_path, json=chat(prompt, f"error=2,tokens=9,{in_stream}", **more))
        post(chat_path, json=chat(prompt, "cut=2,tokens=9", **more))
        post(chat_path, json=chat(prompt, "reset=2,tokens=9", **more))
    assert post(chat_path, json=chat(prompt) | {"model": canary("model")}).status_code == 404
    assert post(chat_path, json=chat(prompt) | {"model": f"nobody/{canary('model')}"}).status_code == 404
    post(chat_path, json=chat(prompt, service_tier=canary("passedtier")))
    for wrong in (
        {"start_within": canary("tier")}, {"stream": canary("tier")}, {"service_tier": [canary("tier")]},
        {"messages": canary("prompt")}, {"Model": canary("model")}, {"metadata": {canary("metadata"): 1}},
        {"model": {"name": canary("model")}}, {"stream_options": canary("metadata")},
    ):  # fmt: skip
        post(chat_path, json=chat(prompt) | wrong)
    junk = CORE["badjson"].encode()
    for bad in (b'{"model": "%b' % junk, canary("badjson").encode(), b"\xff" + junk):
        assert post(chat_path, content=bad).status_code == 400
        post(chat_path, content=gzip.compress(bad), headers={"content-encoding": "gzip"})
        post(chat_path, content=bad, headers={"content-encoding": "br"})
    post(chat_path, content=b" ", headers={"content-encoding": CORE["headervalue"]})
    headers = {
        f"x-{CORE['headername']}": CORE["headervalue"],
        f"x-stainless-{CORE['headername']}": CORE["headervalue"],
        "user-agent": CORE["agent"],
        "cookie": f"session={CORE['cookie']}",
        "idempotency-key": CORE["idempotency"],
        "x-start-within": CORE["tier"],
        "x-forwarded-for": CORE["host"],
        "x-request-id": CORE["headervalue"],
    }
    post(chat_path, json=chat(prompt), headers=headers)
    del headers["x-start-within"]
    assert post(chat_path, json=chat(prompt), headers=headers).status_code == 200
    client.get(f"{responses_path}/{CORE['path']}?{CORE['query']}={CORE['query']}")
    client.get(f"/{CORE['path']}/%22{CORE['path']}?q={CORE['query']}")
    client.get(f"/v1/models/{CORE['model']}")
    client.request(CORE["badmethod"].upper(), responses_path)
    for key in (f"sk-sl-{CORE['wrongkey']}", CORE["wrongkey"], site.secrets["inference"][:-4] + CORE["wrongkey"][-4:]):
        assert post(chat_path, json=chat(prompt), headers={"authorization": f"Bearer {key}"}).status_code == 401
    post(chat_path, json=chat(prompt), headers={"authorization": f"Basic {CORE['username']}"})
    with httpx.Client(base_url=client.base_url, trust_env=False) as anonymous:
        for header in ("x-api-key", "x-goog-api-key"):
            assert anonymous.post(chat_path, json=chat(prompt), headers={header: CORE["passedkey"]}).status_code == 401
        assert anonymous.post(f"{chat_path}?key={CORE['urlkey']}", json=chat(prompt)).status_code == 401
        url_key = f"{chat_path}?key={site.secrets['inference']}"
        assert anonymous.post(url_key, json=chat(prompt)).status_code == 200


def _administer(site: Site) -> None:
    with site.client(authorization=f"Bearer {site.secrets['management']}") as manager:
        assert manager.get("/admin/v1/keys").status_code == 200
        manager.get(f"/admin/v1/usage?{CORE['adminquery']}={CORE['adminquery']}&since={CORE['adminquery']}")
        manager.post("/admin/v1/keys", json={CORE["adminbody"]: CORE["adminbody"]})
        manager.post("/admin/v1/providers", content=CORE["adminbody"].encode())
        manager.get(f"/admin/v1/keys/{CORE['path']}")
        assert manager.get("/metrics").status_code == 200
        made = manager.post("/admin/v1/keys", json={"name": "third"})
        assert made.status_code == 201
        site.secrets["third key"] = made.json()["key"]
    with site.client(authorization=f"Bearer {CORE['wrongkey']}") as stranger:
        assert stranger.get("/admin/v1/keys").status_code == 401


def _misbehave(site: Site) -> None:
    """What is no HTTP, and what is cut short."""
    host, key = CORE["host"], site.secrets["inference"]
    content = msgspec.json.encode(chat(canary("upload"), "start=60", stream=True))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    for data in (
        f"GET /{CORE['path']} HTTP/9.9\r\nhost: {host}\r\n\r\n",
        f"{CORE['badmethod']} /v1/models HTTP/1.1\r\nhost: {host}\r\n\r\n",
        f"GET /v1/models HTTP/1.1\r\nhost: {host} {host}\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nhost: x\r\nno colon {CORE['headervalue']}\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /é{CORE['path']} HTTP/1.1\r\nhost: x\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nPRI * HTTP/2.0\r\n\r\n{CORE['headervalue']}",
        f"{head}expect: {CORE['expect']}\r\ncontent-length: 5\r\n\r\n",
        f"{head}transfer-encoding: {CORE['headervalue']}\r\n\r\n",
        f"{head}transfer-encoding: chunked\r\n\r\n5;{CORE['headervalue']}\r\n{CORE['upload']}",
        f"{CORE['upload']}\r\n\r\n",
    ):
        site.raw(data.encode("latin-1"))
    length = f"content-length: {len(content)}\r\n\r\n".encode()
    site.raw(head.encode() + length + content, until_end=False)
    site.raw(head.encode() + length + content[:-9], until_end=False)


def _fail_in(site: Site, layer: str) -> None:
    """Make one function raise while requests of each kind come in; afterwards all is well again."""
    prompt = canary("prompt")
    site.switch.write_text(layer)
    try:
        with site.client() as client:
            for more in ({}, {"stream": True}, {"start_within": "5s", "stream": True}):
                for path in ("/v1/chat/completions", "/healthz", "/nowhere"):
                    try:
                        client.post(path, json=chat(prompt, "tokens=3", **more))
                    except httpx.TransportError:
                        continue  # the connection in which it happened is closed
            for path in ("/v1/nothing", "/admin/v1/keys", "/healthz"):
                try:
                    client.get(path)
                    client.post("/v1/chat/completions", json=chat(prompt))  # on a connection of the ASGI lane
                except httpx.TransportError:
                    continue
    finally:
        site.switch.write_text("")


def _written(site: Site) -> dict[str, bytes]:
    """Every file that the process wrote, archives also decompressed."""
    files = {}
    for path in sorted(site.folder.rglob("*")):
        if path.is_file() and path != site.switch:
            files[path.relative_to(site.folder).as_posix()] = path.read_bytes()
    for name, content in list(files.items()):
        if name.endswith(".zst"):
            files[name + ", decompressed"] = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    return files


def _leaks(site: Site) -> list[str]:
    found = []
    # of our own keys the public id may be written down, the rest may not
    secrets = {name: value[19:] if value[1:6] == "k-sl-" else value[7:] for name, value in site.secrets.items()}
    wanted = CORE | secrets
    for file, content in _written(site).items():
        for name, core in wanted.items():
            if name == "place" and file.startswith("data/"):
                continue  # where a provider is, is stored, and recorded with each request; but never logged
            for look_for in (core, core[:TOKEN_BYTES]):  # a stream cuts long words in two
                found += [f"{name} in {file}, {form}" for form, look in forms(look_for) if look in content]
    return found


def _alive(site: Site) -> None:
    with site.client() as client:
        assert client.get("/v1/models").status_code == 200
        assert client.get("/healthz").status_code == 200


def test_a_leak_would_be_found(site: Site) -> None:
    for name, planted in (
        ("planted.txt", b"{" + msgspec.json.encode(canary("prompt"))),
        ("planted.zst", zstandard.compress(b"x" + base64.b64encode(canary("answer").encode()))),
        ("planted", site.secrets["inference"][19:].encode().hex().encode()),
    ):
        assert _leaks(site) == []
        (site.folder / name).write_bytes(planted)
        assert _leaks(site) != []
        (site.folder / name).unlink()


def test_nothing_that_passes_through_is_written_down(site: Site) -> None:
    with site.client() as client:
        _talk(site, client, "/v1/chat/completions", "/v1/responses")
    reference = {"connection": "keep-alive"}
    with site.client(**reference) as client:
        client.get("/healthz")  # the connection now belongs to the ASGI lane
        assert client.post("/v1/chat/completions", json=chat(canary("prompt"))).headers["connection"] == "close"
    _administer(site)
    key = site.secrets["inference"]
    with site.client(authorization=f"Bearer {site.secrets['management']}") as manager, site.client() as client:
        lead_astray(manager, client, CORE)
        del client.headers["authorization"]
        talk_anthropic(client, key, canary, CORE)
        talk_gemini(client, key, canary, CORE)
        ask_of_requests(client, key, canary, CORE)
    _misbehave(site)
    _alive(site)
    assert _leaks(site) == []


@pytest.mark.parametrize("layer", LAYERS)
def test_an_exception_in_any_layer_is_told_without_its_message(site: Site, layer: str) -> None:
    before = site.output.stat().st_size
    _fail_in(site, layer)
    _alive(site)
    told = site.output.read_bytes()[before:]
    assert b"RuntimeError" in told, "it was told"
    assert _leaks(site) == []


@pytest.mark.parametrize("layer", FATAL)
def test_what_it_says_when_it_crashes_holds_nothing(site: Site, layer: str) -> None:
    before = site.output.stat().st_size
    _fail_in(site, layer)
    assert site.process is not None
    site.switch.write_text(layer)
    try:
        status: int | None = site.process.wait(3)
    except subprocess.TimeoutExpired:
        status = None
    site.switch.write_text("")
    told = site.output.read_bytes()[before:]
    assert b"RuntimeError" in told, "it was told"
    assert status in (None, 1)
    assert _leaks(site) == []
    if status is None:
        _alive(site)
    else:
        site.start()


def test_in_the_end_there_is_something_to_search_and_nothing_in_it(site: Site) -> None:
    assert site.stop() == 0
    files = _written(site)
    assert {"data/startline.db", "server.txt"} <= set(files)
    assert any(name.endswith(", decompressed") for name in files), "segments were closed and compressed"
    assert b"key_" in files["server.txt"] and b"key_" in files["data/startline.db"]
    assert _leaks(site) == []
