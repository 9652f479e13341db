"""The log: lines of JSON, text on a terminal, and what never comes through."""

import errno
import io
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from appliance.services.log import JsonLines, failure_facts, scrub, scrub_text, set_up

KEYS = (
    "sk-sl-R9PHKXwv36GR-g6FpJ0rvVW8vqfc25VqYKHFClKgNqbCzfvVyg1higjg4aoSdF",
    "mk-sl-Dye2Ocr97uPg-3MDY2cgum97F944hDFWbkG07IwsGSh8jqBQJAggAHWH3DGczq",
    "sk-proj-abcDEF_123-456-789",
    "sk-ant-api03-abcdef-ghijkl",
    "AIzaSyA-1234567890abcdef",
    "gsk_abcdefgh12345678abcd",
    "xai-abcdefgh12345678abcd",
    "hf_abcdefgh12345678abcd",
)


class Stream(io.TextIOWrapper):
    def __init__(self) -> None:
        self.inner = io.BytesIO()
        super().__init__(self.inner, encoding="utf-8", write_through=True)

    @property
    def lines(self) -> list[str]:
        self.flush()
        return self.inner.getvalue().decode().splitlines()


@pytest.fixture
def stream() -> Iterator[Stream]:
    root = logging.getLogger()
    handlers, level, shown = root.handlers[:], root.level, warnings.showwarning
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield Stream()
    root.handlers[:] = handlers
    root.setLevel(level)
    warnings.showwarning = shown
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    structlog.reset_defaults()


class Full(io.BytesIO):
    """A stream on a disk that can be full."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False

    def write(self, data: Any) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "full")
        return super().write(data[:7])  # a part, as a raw stream may


def test_a_full_disk_takes_the_lines_and_not_the_server(stream: Stream) -> None:
    disk = Full()
    wrapper = io.TextIOWrapper(disk)
    write_lines = set_up(stream=wrapper, human=False)
    assert write_lines is not None
    structlog.get_logger().info("before")
    disk.full = True
    structlog.get_logger().error("in between")
    write_lines(b"{}\n{}\n")
    disk.full = False
    structlog.get_logger().info("after")
    lines = [msgspec.json.decode(line) for line in disk.getvalue().splitlines()]
    assert [(line["event"], line.get("lines")) for line in lines] == [
        ("before", None), ("log_lines_lost", 3), ("after", None),
    ]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_hidden_wherever_it_stands(key: str) -> None:
    for text in (
        key,
        f"a {key}, b",
        f'{{"x":"{key}"}}',
        f"Bearer {key}",
        f"/v1/models?key={key}&a=1",
        f"({key})",
        f"line\\n{key}",
        f"%3D{key}",
    ):
        assert key not in scrub_text(text), text
        assert key[8:] not in scrub_text(text), text
    line = JsonLines()(None, "info", {"event": f"x\n{key}", "listed": [key], "inner": {"a": key}})
    assert key[8:].encode() not in line


@pytest.mark.parametrize("secret", ["Bearer abc.def-ghi", "basic dXNlcjpwYXNzd29yZA==", "?key=plain-secret"])
def test_a_credential_is_hidden_by_its_place(secret: str) -> None:
    assert scrub_text(f"x {secret} y") == f"x {secret[: secret.index('=' if 'key' in secret else ' ') + 1]}[secret] y"


@pytest.mark.parametrize("text", ["task-queue-length", "gpt-5.4-mini", "key_X4r0m4wxHM5M", "risk-sl-x", "monkey"])
def test_what_is_no_key_stays(text: str) -> None:
    assert scrub_text(text) == text


@given(st.binary(), st.sampled_from(KEYS), st.binary())
def test_scrubbing_never_fails_and_hides_between_any_bytes(before: bytes, key: str, after: bytes) -> None:
    line = before + b' "' + key.encode() + b'" ' + after
    assert key.encode() not in scrub(line)


def test_a_line_is_json_with_the_time_first(stream: Stream) -> None:
    set_up("info", stream=stream, human=False, cache=False)
    structlog.get_logger().info("served", model="gpt", key=KEYS[0], odd=object(), none=None)
    structlog.get_logger().debug("unwanted")
    [line] = stream.lines
    told = msgspec.json.decode(line)
    assert list(told)[:3] == ["at", "level", "event"]
    assert told["at"].endswith("Z")
    assert told | {"at": ""} == {
        "at": "", "level": "info", "event": "served", "model": "gpt", "key": "[secret]", "odd": "object", "none": None,
    }  # fmt: skip


def test_what_cannot_be_written_says_so() -> None:
    line = msgspec.json.decode(JsonLines()(None, "info", {"event": "x", "broken": "\ud800"}))
    assert line["event"] == "unloggable"


def test_a_terminal_gets_text_without_keys(stream: Stream) -> None:
    set_up("info", stream=stream, human=True, cache=False)
    structlog.get_logger().warning("served", key=KEYS[0])
    [line] = stream.lines
    assert "served" in line and "warning" in line and KEYS[0][6:] not in line


def test_other_libraries_are_told_without_their_arguments(stream: Stream) -> None:
    set_up("info", stream=stream, human=False, cache=False)
    logging.getLogger("library").warning("request to %s failed", "CANARY")
    logging.getLogger("library").info("too little to be told")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning("CANARY", UserWarning, "file.py", 3)
    one, two = map(msgspec.json.decode, stream.lines)
    assert one["message"] == "request to %s failed" and one["logger"] == "library"
    assert two["category"] == "UserWarning" and two["line"] == 3
    assert "CANARY" not in "".join(stream.lines)


def test_an_exception_that_nobody_caught_is_told_by_class_and_place(stream: Stream) -> None:
    set_up("info", stream=stream, human=False, cache=False)
    group = ExceptionGroup("CANARY", [ValueError("CANARY"), ExceptionGroup("x", [KeyError("CANARY")])])
    assert failure_facts(group)["exceptions"] == ["ValueError", "KeyError"]
    sys.excepthook(type(group), group, None)
    thread = threading.Thread(target=lambda: int("CANARY"), name="CANARY")
    thread.start()
    thread.join()
    crashed, in_thread = map(msgspec.json.decode, stream.lines)
    assert crashed["event"] == in_thread["event"] == "crashed"
    assert in_thread["exceptions"] == ["ValueError"] and "<lambda>" in in_thread["frames"][0][-1]
    assert "CANARY" not in "".join(stream.lines)
