"""Every dialect to every provider, by the SDKs for Node: `openai`, `@anthropic-ai/sdk`, `@google/genai`, Vercel's `ai`.

The rule: as in test_matrix.py: a cell works, or `WITHOUT` says why it cannot, and then it is refused as that says. One
process for each SDK runs all its cells (node/matrix.mjs); here each is judged, with what provider and records say.
"""

from typing import Any

import msgspec
import pytest

from tests.end_to_end import node_sdk
from tests.end_to_end.matrix import FEATURES, NODE_SPEAKERS, PROVIDERS, WITHOUT
from tests.end_to_end.processes import until
from tests.end_to_end.stage import Json, Stage, Told

pytestmark = pytest.mark.sockets

REFUSALS = [
    (400, "provider_rejected"),
    (429, "provider_rate_limited"),
    (500, "provider_error"),
    (404, "provider_rejected"),
    (403, "provider_key_rejected"),
]
"""What becomes of the refusals that node/matrix.mjs asks for, in its order."""


class Cell(msgspec.Struct):
    """What one cell did: what its SDK said; of each request what the provider did (None: nothing), and the record."""

    fault: str | None
    failures: list[Json]
    requests: list[tuple[Json | None, Told]]


Cells = dict[tuple[str, str, str], Cell]


@pytest.fixture(scope="module")
def ran(whole_stage: Stage, matrix_providers: None) -> dict[str, Cells]:
    """The cells of the SDKs that have run."""
    node_sdk.installed()
    return {}


def run(sdk: str, stage: Stage) -> Cells:
    """All cells of one SDK."""
    rows = {name: {"model": row.model, "sim": row.sim} for name, row in PROVIDERS.items()}
    told = node_sdk.matrix(sdk, stage, rows)
    recorded = {one.request["request_id"]: one for one in stage.take(sum(len(cell["requests"]) for cell in told))}

    def look() -> list[Json] | None:
        entries: list[Json] = stage.journal()["entries"]
        return None if any(entry["outcome"] == "open" for entry in entries) else entries

    served: dict[str, list[Json]] = {}
    for entry in until(look, "end of all that the provider does"):
        served.setdefault(entry["mark"], []).append(entry)
    cells: Cells = {}
    for cell in told:
        pairs: list[tuple[Json | None, Told]] = []
        for asked in cell["requests"]:
            record = recorded[asked["id"]]
            assert record.request["status"] == asked["status"]
            pairs.append((served[asked["mark"]].pop(0) if record.attempts else None, record))
        cells[cell["speaker"], cell["provider"], cell["feature"]] = Cell(cell["fault"], cell["failures"], pairs)
    assert not any(left for mark, left in served.items() if mark.startswith(sdk)), "no request was made twice"
    return cells


def check_completed(cell: Cell) -> None:
    """What was recorded is what the provider did, request by request."""
    for entry, told in cell.requests:
        if entry is None or entry["fault"]:  # a tool runner that asked first whether the server holds its conversation
            assert told.request["status"] == 400
            continue
        request = told.request
        assert (entry["outcome"], request["status"], request["error_code"]) == ("completed", 200, None)
        assert request["provider_response_id"] == entry["response_id"]
        assert request["tokens"]["certainty"] == "known"
        assert request["cost_state"] in ("known", "unknown_price"), "the override is part of the model's name"


def check_image(cell: Cell) -> None:
    bare, shown = [entry["body_bytes"] for entry, _ in cell.requests if entry]
    assert shown - bare > 96, "the image went along"


def check_errors(cell: Cell, provider: str, by_vercel: bool) -> None:
    *whole, streamed = cell.failures
    for failed, (status, code) in zip(whole, REFUSALS, strict=True):
        assert (failed["status"], failed["block"]["code"], failed["block"]["provider"]) == (status, code, provider)
        assert code == "provider_key_rejected" or failed["message"] == "words of theirs"
    codes = [told.request["error_code"] for _, told in cell.requests]
    assert codes[:-1] == [code for _, code in REFUSALS]
    assert codes[-1] in ("provider_error", "provider_refused")
    if streamed["block"] is None:
        assert by_vercel and streamed["message"], "its packages keep a message alone of an error in a stream"
    else:
        assert (streamed["block"]["code"], streamed["block"]["provider"]) == (codes[-1], provider)


def check_cancellation(cell: Cell) -> None:
    ((entry, told),) = cell.requests
    assert entry is not None and entry["outcome"] == "client_gone"
    assert told.request["client_gone"]


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("speaker", NODE_SPEAKERS)
def test_cell(stage: Stage, ran: dict[str, Cells], speaker: str, provider: str, feature: str) -> None:
    sdk = NODE_SPEAKERS[speaker]
    if sdk not in ran:
        ran[sdk] = run(sdk, stage)
    cell = ran[sdk][speaker, provider, feature]
    if (speaker, provider, feature) in WITHOUT:
        field = WITHOUT[speaker, provider, feature].split("`")[1]
        assert cell.fault is not None and "inexpressible" in cell.fault and field in cell.fault, cell.fault
        assert cell.requests[-1][1].request["error_code"] == "inexpressible"
        return
    assert cell.fault is None, cell.fault
    checks: dict[str, Any] = {"image": check_image, "cancellation": check_cancellation}
    if feature == "errors":
        check_errors(cell, provider, speaker.endswith("(ai)"))
    elif feature in checks:
        checks[feature](cell)
    if feature not in ("errors", "cancellation"):
        check_completed(cell)
