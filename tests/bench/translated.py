"""CPU for each event of a paced stream, for each caller's dialect before each provider's: what translation costs.

Beside them, in the same rounds, stand pass-through in each dialect and nginx, which passes chat's events.
"""

import socket
from dataclasses import replace

from appliance.domain.chat import DialectName
from tests.bench import dialects
from tests.bench.contestants import Contestant
from tests.bench.dialects import KINDS
from tests.bench.figures import Budget, median
from tests.bench.processes import BenchFault
from tests.bench.scenario import Outcome, Run
from tests.bench.streaming import Relayed, paced, relayed
from tests.bench.table import Line, ratio
from tests.bench.workload import MARK

_BUDGET = Budget(floor=12.0, aim=4.0)
_STREAMS, _PACE_US = 100, 20_000


def measure(run: Run) -> Outcome:
    """Each pair twice, in a quick run once those that chat is one of; nginx before and after."""
    outcome = Outcome([], {})
    gateway = next((one for one in run.contestants if one.name == "gateway"), None)
    nginx = next((one for one in run.contestants if one.name == "nginx"), None)
    if gateway is None:
        return outcome
    window_s = 0.8 if run.quick else 1.5
    floor: list[Relayed] = []
    found: dict[tuple[DialectName, DialectName], list[Relayed]] = {}
    for _ in range(1 if run.quick else 2):
        if nginx is not None:
            floor.append(paced(run, "streams", _STREAMS, _PACE_US, window_s, nginx))
        for pair in [(caller, provider) for caller in KINDS for provider in KINDS]:
            if run.quick and "openai_chat" not in pair and pair[0] != pair[1]:
                continue
            found.setdefault(pair, []).append(_pair(run, gateway, *pair, window_s))
    if nginx is not None:
        floor.append(paced(run, "streams", _STREAMS, _PACE_US, window_s, nginx))
    least = median(one.cpu_us for one in floor) if floor else None
    for (caller, provider), rounds in found.items():
        cost = median(one.cpu_us for one in rounds)
        passes = caller == provider
        label = f"stream event, {caller}" + (" passed" if passes else f" ← {provider}")
        note = "" if passes else f"{cost - median(one.cpu_us for one in found[caller, caller]):+.1f} to pass-through"
        budget = None if passes else _BUDGET
        outcome.lines.append(Line(label, "us CPU", cost, least, None, ratio(cost, least), budget, note))
        outcome.data[f"{caller} <- {provider}"] = [one.cpu_us for one in rounds]
    return outcome


def _pair(
    run: Run,
    gateway: Contestant,
    caller: DialectName,
    provider: DialectName,
    window_s: float,
) -> Relayed:
    model = f"{dialects.provider_name(provider)}/bench"

    path, _ = dialects.path_and_body(caller, model)
    target = replace(gateway.targets["streams"], model=model, path=path)

    def request(**play: int) -> bytes:
        return target.request(dialects.path_and_body(caller, model, **play)[1])

    _check(gateway, f"{caller} <- {provider}", request(events=5))
    return relayed(run, target, request, _STREAMS, _PACE_US, window_s, gateway)


def _check(gateway: Contestant, pair: str, request: bytes) -> None:
    """Ask once. Raises BenchFault, with what came instead, unless the whole stream did: timing it would be vain."""
    with socket.create_connection(("127.0.0.1", gateway.targets["streams"].port), timeout=10.0) as connection:
        connection.sendall(request)
        got = b""
        while not got.endswith(b"0\r\n\r\n") and (data := connection.recv(65_536)):
            got += data
            if b"\r\ncontent-length: " in got.lower():
                break
    if got.count(MARK) < 5:  # Responses repeat at the end what was said
        raise BenchFault(f"{pair}: {got[:2000]!r}")
