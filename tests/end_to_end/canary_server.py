"""A real `startline` process whose functions can be made to fail with a message that nobody may write down.

Usage: `python canary_server.py SWITCH MESSAGE COMMAND…`. While the file SWITCH holds the name of a function of
`LAYERS`, that function raises RuntimeError(MESSAGE and its arguments).
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LAYERS = {
    "http1": ("appliance.http1.request", "RequestReader.next_head"),
    "wire": ("appliance.wire.openai_chat", "upstream_body"),
    "wire, reading": ("appliance.wire.openai_chat", "read_request"),
    "policy": ("appliance.policy.race", "Race.on_many"),
    "net": ("appliance.net.stream", "SocketStream.send_all"),
    "upstream": ("appliance.upstream.attempt", "Attempt.begin"),
    "upstream, relaying": ("appliance.upstream.attempt", "Attempt.more"),
    "store": ("appliance.store.ledger", "StoreLedger.begin"),
    "store, secret": ("appliance.store.directory", "StoreDirectory.secret"),
    "request": ("appliance.request.answer", "Gateway._steps"),
    "request, refusing": ("appliance.request.answer", "Gateway.refuse"),
    "server, fast": ("appliance.server.fast", "find"),
    "server, reference": ("appliance.server.asgi_reply", "InferenceApp._read"),
    "server, admin": ("appliance.server.admin.desk", "Desk.identify"),
}
FATAL = {
    "metrics": ("appliance.server.metrics", "Metrics.settled"),
    "services": ("appliance.request.answer", "Gateway.pulse"),
    "store, writer": ("appliance.store.commit", "Committer.commit"),
    "archive": ("appliance.archive.writer", "ArchiveWriter.append"),
}
"""Failures of these may end the process: then it must say so without the message."""


def rig_up(switch: Path, message: str) -> None:
    """Wrap the functions. A name that does not exist is an error of this file."""
    for name, (module, path) in {**LAYERS, **FATAL}.items():
        owner: Any = importlib.import_module(module)
        *outer, last = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        setattr(owner, last, _failing(getattr(owner, last), name, switch, message))


def _failing(original: Callable[..., Any], name: str, switch: Path, message: str) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if switch.read_text() == name:
            raise RuntimeError(f"{message} {arguments!r} {named!r}")
        return original(*arguments, **named)

    return wrapped


if __name__ == "__main__":
    switch_file, leaked, *words = sys.argv[1:]
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    rig_up(Path(switch_file), leaked)
    from appliance.cli.main import main

    sys.argv = ["startline", *words]
    main()
