"""Every dialect to every provider: each official SDK before each family, for all that an application does.

The rule: a cell works, or `WITHOUT` says why it cannot, and then its request is refused as that says: none is skipped.
The run prints the matrix (conftest.py), and docs/matrix.md shows it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import msgspec
import pytest

from tests.end_to_end.matrix import FEATURES, PROVIDERS, SPEAKERS, WITHOUT, cell, document
from tests.end_to_end.processes import ROOT
from tests.end_to_end.speaker_interactions import Interactions
from tests.end_to_end.speakers import Chat, Gemini, Messages, Responses, Speaker
from tests.end_to_end.stage import Stage

pytestmark = pytest.mark.sockets

SAID = "say it again: naïve café → 東京 🙂🏽, and then once more"


@pytest.fixture(scope="module")
def speakers(whole_stage: Stage) -> Iterator[dict[str, Speaker]]:
    """The clients, by their names."""
    with ExitStack() as stack:
        client = stack.enter_context(whole_stage.client())
        every: list[Speaker] = [
            Chat(client),
            Responses(client),
            Messages(stack.enter_context(whole_stage.anthropic())),
            Gemini(google := stack.enter_context(whole_stage.google(retry_options={"attempts": 1}))),
            Interactions(google),
        ]
        yield {one.name: one for one in every}


class Pair:
    """One client before one provider."""

    def __init__(self, stage: Stage, speaker: Speaker, provider: str) -> None:
        self.stage = stage
        self.speaker = speaker
        self.provider = provider
        self.served: list[str] = []

    def model(self, sim: str = "") -> str:
        """A model whose provider does this."""
        mark = self.stage.mark()
        self.served.append(mark)
        row = PROVIDERS[self.provider]
        more = f",{row.sim}" if row.sim and "refuse" not in sim else ""
        return f"{self.provider}/{row.model}@sim:mark={mark}{more}" + (f",{sim}" if sim else "")

    def recorded(self) -> None:
        """What was recorded is what the provider did, request by request."""
        for mark, told in zip(self.served, self.stage.take(len(self.served)), strict=True):
            (entry,) = self.stage.served(mark)
            assert entry["outcome"] == "completed"
            assert (told.request["status"], told.request["error_code"]) == (200, None)
            assert told.request["provider_response_id"] == entry["response_id"]
            assert told.request["tokens"]["certainty"] == "known"
            assert told.request["cost_state"] in ("known", "unknown_price"), "the override is part of the model's name"


def plain(pair: Pair) -> None:
    said = pair.speaker.say(pair.model("echo=true"), pair.speaker.user(SAID))
    assert (said.text, said.stop) == (SAID, "end")
    assert said.used is not None and said.used[0] > 0 and said.used[1] > 0
    if said.told:
        assert said.told["x-startline-provider"] == pair.provider
    pair.recorded()


def stream(pair: Pair) -> None:
    said = pair.speaker.say(pair.model("echo=true,fragment_bytes=7"), pair.speaker.user(SAID), stream=True)
    assert (said.text, said.stop) == (SAID, "end")
    assert said.used is not None and said.used[1] > 0
    pair.recorded()


def _turns(pair: Pair, *, number: int, think: bool = False) -> None:
    """Turn after turn, streamed and whole: the calls, their results, another call, its result, the last word."""
    past = pair.speaker.user("what is the weather?")
    for streamed in (False, True):
        model = pair.model(f"tool_calls={number}" + (",reasoning_tokens=6" if think else ""))
        said = pair.speaker.say(model, past, tools=True, stream=streamed, think=think)
        assert (said.stop, len(said.calls)) == ("tools", number)
        assert all(call.name in ("weather", "local_time") and call.arguments for call in said.calls)
        assert len({call.id for call in said.calls}) == number
        past += [*said.turn, *pair.speaker.results(said.calls, "sunny"), *pair.speaker.user("and then?")]
    said = pair.speaker.say(pair.model("echo=true"), past, tools=True, think=think)
    assert (said.text, said.stop) == ("and then?", "end")
    pair.recorded()


def tools(pair: Pair) -> None:
    _turns(pair, number=1)


def parallel_tools(pair: Pair) -> None:
    _turns(pair, number=2)


def image(pair: Pair) -> None:
    bare, shown = pair.model(), pair.model("echo=true")
    pair.speaker.say(bare, pair.speaker.user("what is this?"))
    said = pair.speaker.say(shown, pair.speaker.user("what is this?", image=True))
    assert said.text == "what is this?"
    sizes = [pair.stage.served(mark)[0]["body_bytes"] for mark in pair.served]
    assert sizes[1] - sizes[0] > 96, "the image went along"
    pair.recorded()


def structured(pair: Pair) -> None:
    for streamed in (False, True):
        said = pair.speaker.say(pair.model(), pair.speaker.user("plan"), schema=True, stream=streamed)
        told = msgspec.json.decode(said.text)
        assert isinstance(told["city"], str) and isinstance(told["days"], list)
    pair.recorded()


def reasoning(pair: Pair) -> None:
    """Reasoning is shown, and goes back with its signature, calls between."""
    said = pair.speaker.say(pair.model("reasoning_tokens=9"), pair.speaker.user("think"), think=True, stream=True)
    if pair.speaker.name != "openai chat" or pair.provider in ("m-claude", "m-compatible"):  # chat cannot ask for it
        assert said.reasoning
    past = [*pair.speaker.user("think"), *said.turn, *pair.speaker.user("go on")]
    again = pair.speaker.say(pair.model("echo=true,reasoning_tokens=9"), past, think=True)
    assert again.text == "go on"
    pair.recorded()
    pair.served.clear()
    _turns(pair, number=1, think=True)


REFUSALS = {
    "invalid_request": (400, "provider_rejected"),
    "rate_limit_exceeded": (429, "provider_rate_limited"),
    "server_error": (500, "provider_error"),
    "not_found": (404, "provider_rejected"),
    "invalid_api_key": (403, "provider_key_rejected"),
}


def errors(pair: Pair) -> None:
    user = pair.speaker.user("hello")
    for refusal, (status, code) in REFUSALS.items():
        words = "" if refusal == "invalid_api_key" else ",message=words%20of%20theirs"
        failed = pair.speaker.failure(pair.model(f"refuse={refusal}{words}"), user)
        assert (failed.status, failed.block["code"], failed.block["provider"]) == (status, code, pair.provider)
        assert code == "provider_key_rejected" or failed.message == "words of theirs"
    failed = pair.speaker.failure(pair.model("error=2,output_tokens=8,tokens_per_s=40"), user, stream=True)
    assert failed.block["code"] in ("provider_error", "provider_refused") and failed.block["provider"] == pair.provider
    told = pair.stage.take(len(pair.served))
    assert [one.request["error_code"] for one in told[:-1]] == [code for _, code in REFUSALS.values()]
    assert told[-1].request["error_code"] == failed.block["code"]


def cancellation(pair: Pair) -> None:
    with pair.speaker.begin(pair.model("tokens_per_s=20,output_tokens=2000"), pair.speaker.user("go on")) as first:
        assert first
    (entry,) = pair.stage.served(pair.served[0])
    assert entry["outcome"] == "client_gone"
    (told,) = pair.stage.take()
    assert told.request["client_gone"]


CHECKS: dict[str, Callable[[Pair], None]] = {
    "plain": plain,
    "stream": stream,
    "tools": tools,
    "parallel tools": parallel_tools,
    "image": image,
    "structured output": structured,
    "reasoning": reasoning,
    "errors": errors,
    "cancellation": cancellation,
}


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("speaker", SPEAKERS)
@pytest.mark.usefixtures("matrix_providers")
def test_cell(stage: Stage, speakers: dict[str, Speaker], speaker: str, provider: str, feature: str) -> None:
    pair = Pair(stage, speakers[speaker], provider)
    if (speaker, provider, feature) in WITHOUT:
        with pytest.raises(Exception, match="inexpressible"):
            CHECKS[feature](pair)
    else:
        CHECKS[feature](pair)


def test_the_document_shows_this_matrix() -> None:
    written = (ROOT / "appliance" / "docs" / "matrix.md").read_text(encoding="utf-8")
    assert written == document(), "write it anew: python -m tests.end_to_end.matrix > appliance/docs/matrix.md"
    assert cell(SPEAKERS[0], next(iter(PROVIDERS)), "plain") == "yes"


@pytest.mark.usefixtures("matrix_providers")
def test_embeddings_of_the_other_dialect(stage: Stage) -> None:
    with stage.client() as client, stage.google() as google:
        many = client.embeddings.create(model="m-gemini/gemini-embedding-2", input=["one", "two"], dimensions=4)
        one = google.models.embed_content(model="m-openai/text-embedding-3-small", contents="one")
    assert [len(row.embedding) for row in many.data] == [4, 4]
    assert one.embeddings and len(one.embeddings[0].values or ()) == 8
    assert [told.request["tokens"]["certainty"] for told in stage.take(2)] == ["known", "known"]
