"""The server as a process: first start, both ways of reaching it, stops, and what it says when it cannot start."""

import os
import pty
import re
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.cli.live import Running, running
from tests.cli.terminal import COMMAND, Terminal
from tests.rig import request

pytestmark = pytest.mark.sockets

SERVING = r'"addresses":\["(127\.0\.0\.1:\d+)"\]'


def lines(server: Running) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in server.err.read_bytes().splitlines()]


def test_from_the_first_start_to_the_stop(terminal: Terminal, tmp_path: Path) -> None:
    variables = {"STARTLINE_DATA_FOLDER": str(terminal.folder), "OPENAI_API_KEY": "sk-CANARY-of-the-environment"}
    with running(tmp_path, "serve", "--port", "0", **variables) as server:
        address = server.told(SERVING)
        keys = dict(line.split() for line in (terminal.folder / "first-keys.txt").read_text().splitlines()[1:])
        assert httpx.get(f"http://{address}/healthz", trust_env=False).text == "ok\n"
        headers = {"authorization": f"Bearer {keys['inference']}"}
        assert httpx.get(f"http://{address}/v1/models", headers=headers, trust_env=False).json()["data"] == []
        made = terminal.json("key", "create", "--name", "x")
        headers = {"authorization": f"Bearer {made['key']}"}
        assert httpx.get(f"http://{address}/v1/models", headers=headers, trust_env=False).status_code == 200
        terminal.run("key", "revoke", "x")
        assert httpx.get(f"http://{address}/v1/models", headers=headers, trust_env=False).status_code == 401
        assert terminal.json("provider", "list") == [], "what the environment has is not taken unasked"
        assert server.stop() == 0
    events = [line["event"] for line in lines(server)]
    assert events == ["first_keys_written", "provider_key_in_environment", "serving", "stopping", "stopped"]
    told = server.err.read_text() + server.out.read_text(errors="replace")
    assert "startline provider add openai" in told and "CANARY" not in told
    assert not any(key in told for key in keys.values())
    assert not (terminal.folder / "startline.sock").exists()
    assert len(terminal.json("key", "list")) == 2, "the folder is free again, and has what was made"


def test_a_terminal_sees_the_first_keys_and_is_asked_about_keys_in_the_environment(terminal: Terminal) -> None:
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STARTLINE_")}
    variables = {"STARTLINE_DATA_FOLDER": str(terminal.folder), "OPENAI_API_KEY": "sk-CANARY-of-the-environment"}
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"], stdin=theirs, stdout=theirs, stderr=theirs, env=clean | variables
    )
    os.close(theirs)
    try:
        told = _until(ours, b"? [y/N]: ")
        assert re.search(r"inference   sk-sl-\w{12}-\w{49}\r\n  management  mk-sl-\w{12}-\w{49}\r\n", told)
        os.write(ours, b"n\n")
        told += _until(ours, b"Ctrl-C stops.")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(30)
        os.close(ours)
    assert "CANARY" not in told
    assert not (terminal.folder / "first-keys.txt").exists()
    assert terminal.json("provider", "list") == []


def test_ctrl_c_ends_the_question_about_keys_in_the_environment(terminal: Terminal) -> None:
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STARTLINE_")}
    variables = {"STARTLINE_DATA_FOLDER": str(terminal.folder), "OPENAI_API_KEY": "sk-CANARY-of-the-environment"}
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"], stdin=theirs, stdout=theirs, stderr=theirs, env=clean | variables
    )
    os.close(theirs)
    try:
        _until(ours, b"? [y/N]: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait(30)
        os.close(ours)
    assert len(terminal.json("key", "list")) == 2, "the folder was left in order"


def _until(descriptor: int, mark: bytes) -> str:
    text = b""
    while mark not in text:
        text += os.read(descriptor, 4096)
    return text.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_stops_it_with_status_0_and_a_second_start_makes_no_keys(
    terminal: Terminal, tmp_path: Path, number: int
) -> None:
    terminal.run("init")
    with running(tmp_path, "serve", "--listen", "127.0.0.1:0", STARTLINE_DATA_FOLDER=str(terminal.folder)) as server:
        server.told(SERVING)
        assert server.stop(number) == 0
    assert not (terminal.folder / "first-keys.txt").exists()


def test_a_second_signal_ends_it_at_once(terminal: Terminal, tmp_path: Path) -> None:
    variables = {"STARTLINE_DATA_FOLDER": str(terminal.folder), "STARTLINE_SHUTDOWN_S": "300"}
    with running(tmp_path, "simulator", "--port", "0") as simulator:
        base_url = simulator.told(r"base URL +(\S+)")
        terminal.run("provider", "add", "sim", "--base-url", base_url, "--tiers", "flex,default", stdin="sk-sim-x")
        key = terminal.run("key", "create", "--name", "x").stdout.strip()
        with running(tmp_path, "serve", "--port", "0", **variables) as server:
            host, _, port = server.told(SERVING).partition(":")
            body = b'{"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "x"}], "service_tier": "flex"}'
            with socket.create_connection((host, int(port))) as client:
                client.sendall(request(key=key, body=body))
                archive = terminal.folder / "archive"
                while not any(b"begun" in file.read_bytes() for file in archive.glob("*.segment")):
                    _health(terminal)  # what is queued would be lost
                server.process.send_signal(signal.SIGTERM)
                server.told(r'"event":"(stopping)"')
                assert server.stop() == -signal.SIGTERM
    assert [row["outcome"] for row in _attempts(terminal)] == ["interrupted"], "what was begun is not forgotten"


def _health(terminal: Terminal) -> bytes:
    transport = httpx.HTTPTransport(uds=str(terminal.folder / "startline.sock"))
    with httpx.Client(transport=transport, base_url="http://x") as client:
        return client.get("/admin/v1/health").content


def _attempts(terminal: Terminal) -> list[dict[str, str]]:
    [row] = terminal.json("usage")["requests"]
    attempts: list[dict[str, str]] = terminal.json("usage", "--request", row["request_id"])["attempts"]
    return attempts


def test_systemd_is_told(terminal: Terminal, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(30)
        path = Path("/tmp") / f"startline-notify-{tmp_path.name}"
        path.unlink(missing_ok=True)
        manager.bind(str(path))
        variables = {"STATE_DIRECTORY": str(terminal.folder), "NOTIFY_SOCKET": str(path)}
        try:
            with running(tmp_path, "serve", "--port", "0", **variables) as server:
                assert manager.recv(100) == b"READY=1"
                assert server.stop() == 0
                assert manager.recv(100) == b"STOPPING=1"
        finally:
            path.unlink()
    assert (terminal.folder / "startline.db").exists(), "the state directory is the data folder"


def test_a_port_that_is_taken_is_said(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = terminal.run("serve", "--port", str(port), status=1).stderr
    assert f"cannot listen on 127.0.0.1:{port}" in told
    assert "such as 127.0.0.1:8787" in terminal.run("serve", "--listen", "nowhere", status=1).stderr
    assert "not both" in terminal.run("serve", "--listen", "127.0.0.1:0", "--port", "0", status=2).stderr


def test_a_folder_that_cannot_be_made_is_said(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = terminal.run("serve", "--port", "0", "--data-folder", str(tmp_path / "file" / "inside"), status=1).stderr
    assert "Not a directory" in told and "Traceback" not in told


def test_a_folder_that_is_taken_is_said(terminal: Terminal, tmp_path: Path) -> None:
    with running(tmp_path, "serve", "--port", "0", STARTLINE_DATA_FOLDER=str(terminal.folder)) as server:
        server.told(SERVING)
        assert "another process has this data folder" in terminal.run("serve", "--port", "0", status=1).stderr
        assert terminal.json("key", "list"), "the first one still serves"
        assert server.stop() == 0
