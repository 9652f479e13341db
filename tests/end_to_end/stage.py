"""A served Startline before a simulated provider, each a process of its own, and a way to ask both what happened.

The rule: every test takes the records of the requests that it made (`take`), and there must be no others.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anthropic
import httpx
import msgspec
import openai
from google import genai

from tests.end_to_end.processes import Program, command, environment, program, until

PROVIDER = "sim"
CLAUDE = "sim-claude"
GEMINI = "sim-gemini"
PROVIDER_SECRET = "sk-sim-of-the-end-to-end-tests"
WORLD = Path(__file__).parent / "world.toml"
Json = dict[str, Any]


class Told(msgspec.Struct, frozen=True):
    """What Startline recorded of one request: its row, and one row for each attempt."""

    request: Json
    attempts: list[Json]


class Stage:
    """The running pair; `url` is the gateway's, without a mount."""

    def __init__(
        self, server: Program, url: str, provider_url: str, key: str, data_folder: Path, environ: dict[str, str]
    ) -> None:
        self.server = server
        self.url = url
        self.provider_url = provider_url
        self.key = key
        self.data_folder = data_folder
        self.environ = environ
        self._admin = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(data_folder / "startline.sock")), base_url="http://startline"
        )
        self._provider = httpx.Client(base_url=provider_url.removesuffix("/v1"), trust_env=False)
        self._known: set[str] = set()
        self._marks = count(1)

    # -- clients -------------------------------------------------------------------------------------------------------

    def client(self, mount: str = "/v1", **options: Any) -> openai.OpenAI:
        """The official SDK, as a user makes it; it is not told to try again, so that one call is one request."""
        given: Json = {"base_url": self.url + mount, "api_key": self.key, "max_retries": 0, "timeout": 30} | options
        return openai.OpenAI(**given)

    def async_client(self, mount: str = "/v1", **options: Any) -> openai.AsyncOpenAI:
        """The same for asyncio and trio."""
        given: Json = {"base_url": self.url + mount, "api_key": self.key, "max_retries": 0, "timeout": 30} | options
        return openai.AsyncOpenAI(**given)

    def anthropic(self, mount: str = "", **options: Any) -> anthropic.Anthropic:
        """Anthropic's SDK, which adds `/v1` to what it is given."""
        given: Json = {"base_url": self.url + mount, "api_key": self.key, "max_retries": 0, "timeout": 30} | options
        return anthropic.Anthropic(**given)

    def google(self, version: str = "", **options: Any) -> genai.Client:
        """Google's SDK; `version` is the API's, which is the mount (empty: the SDK's choice)."""
        given: Any = {"base_url": self.url} | ({"api_version": version} if version else {}) | options
        return genai.Client(api_key=self.key, http_options=given)

    def mark(self) -> str:
        """A name for one request, to find it again in the simulator's journal."""
        return f"m{next(self._marks)}"

    # -- what Startline says -------------------------------------------------------------------------------------------

    def admin(self, path: str, **parameters: Any) -> Any:
        """Ask the admin API, as the operator."""
        answer = self._admin.get(f"/admin/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _ids(self) -> list[str]:
        """Ids of the requests recorded so far, oldest first."""
        return [row["request_id"] for row in reversed(self.admin("usage", limit=1000)["requests"])]

    def forget(self) -> None:
        """Leave aside what an earlier test that failed has not taken."""
        self._known.update(self._ids())

    def take(self, number: int = 1) -> list[Told]:
        """The records of that many requests, oldest first, which are all that are new."""

        def look() -> list[str] | None:
            new = [request_id for request_id in self._ids() if request_id not in self._known]
            return new if len(new) >= number else None

        new = until(look, f"{number} new records") if number else self._new()
        assert len(new) == number, f"{len(new)} records for {number} requests"
        self._known.update(new)
        return [msgspec.convert(self.admin(f"usage/{request_id}"), Told) for request_id in new]

    def _new(self) -> list[str]:
        return [request_id for request_id in self._ids() if request_id not in self._known]

    # -- what the provider says ----------------------------------------------------------------------------------------

    def journal(self) -> Json:
        """The simulator's journal."""
        told: Json = self._provider.get("/_journal").json()
        return told

    def served(self, mark: str) -> list[Json]:
        """What the simulator did for the request with this mark, in order of arrival, once none of it is open."""

        def look() -> list[Json] | None:
            found = [entry for entry in self.journal()["entries"] if entry["mark"] == mark]
            return found if found and all(entry["outcome"] != "open" for entry in found) else None

        return until(look, f"end of all that the provider does for {mark}")

    def close(self) -> None:
        """Close the clients, and check that the provider saw nothing odd in all that time."""
        told = self.journal()
        self._admin.close()
        self._provider.close()
        assert told["errors"] == []
        assert [entry for entry in told["entries"] if entry["forbidden"]] == []


@contextmanager
def staged(folder: Path, **settings: str) -> Iterator[Stage]:
    """Start both, store the provider's key and make an API key through the command line."""
    data_folder = folder / "data"
    environ = environment(data_folder, STARTLINE_LISTEN="127.0.0.1:0", STARTLINE_BREAKER_FAILURES="0", **settings)
    with ExitStack() as stack:
        simulator = stack.enter_context(program(["simulator", "--port", "0", "--file", str(WORLD)], folder, environ))
        server = stack.enter_context(program(["serve"], folder, environ))
        provider_url = simulator.says(r"base URL +(\S+)")
        address = server.says(r'"event":"serving","addresses":\["([^"]+)"')
        added = ["provider", "add", PROVIDER, "--kind", "openai_compatible", "--base-url", provider_url]
        added += ["--tiers", "flex,default,priority", "--price-as", "openai"]
        command(*added, environ=environ, given=PROVIDER_SECRET)
        claude = ["provider", "add", CLAUDE, "--kind", "anthropic", "--base-url", provider_url]
        claude += ["--tiers", "standard_only,auto", "--price-as", "anthropic"]
        command(*claude, environ=environ, given=PROVIDER_SECRET)
        gemini = [
            "provider",
            "add",
            GEMINI,
            "--kind",
            "gemini",
            "--price-as",
            "google",
            "--tiers",
            "flex,standard,priority",
        ]
        gemini += ["--abort-billing", "full", "--base-url", provider_url.removesuffix("/v1") + "/v1beta"]
        command(*gemini, environ=environ, given=PROVIDER_SECRET)
        made = msgspec.json.decode(command("key", "create", "--name", "end", "--json", environ=environ))
        command("organisation", "set", "default", "--no-explore", environ=environ)  # losers are cut off, each time
        stage = Stage(server, f"http://{address}", provider_url, made["key"], data_folder, environ)
        yield stage
        stage.close()
