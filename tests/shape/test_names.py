"""No file or folder is called utils, helpers, common, misc, base, manager or ends in a version.

Why: such a name says nothing of what is inside, so everything ends up there. Name it after its subject.
"""

import re
from pathlib import PurePosixPath

from tests.shape.sources import ROOT, Finding, assert_none

EMPTY_WORDS = re.compile(r"(?:^|_)(?:utils?|helpers?|common|misc|base|managers?|stuff)(?:_|$)|_v\d+$|_(?:new|old)$")


def empty_names(path: str) -> list[Finding]:
    return [
        Finding(path, 1, "name", f"`{part}` says nothing of its subject: name it after what it holds")
        for part in PurePosixPath(path).with_suffix("").parts
        if EMPTY_WORDS.search(part.removeprefix("test_"))
    ]


def test_names_say_what_is_inside() -> None:
    folders = ("appliance", "tests", "packaging", "systemd")
    files = [file.relative_to(ROOT).as_posix() for folder in folders for file in (ROOT / folder).rglob("*")]
    assert_none([finding for file in files if "__pycache__" not in file for finding in empty_names(file)])


def test_the_check_fires() -> None:
    for path in ("appliance/utils.py", "appliance/base/x.py", "appliance/race_v2.py", "tests/test_helpers.py"):
        assert empty_names(path), path
    for path in ("appliance/http1/head.py", "appliance/database.py", "appliance/wire/openai_chat.py"):
        assert empty_names(path) == []
