"""The web application: what anyone sees, and what is not there."""

from appliance.server.routes import PROBES
from tests.rig import Rig


async def test_healthz_says_only_ok(rig: Rig) -> None:
    async with rig.http() as client:
        answer = await client.get("/healthz", headers={"authorization": ""})
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_what_is_not_there_is_refused_with_the_block(rig: Rig) -> None:
    async with rig.http() as client:
        for method, path, status, code in (
            ("GET", "/nothing", 404, "route_not_found"),
            ("GET", "/admin/v1/nothing", 404, "route_not_found"),
            ("PUT", "/admin/v1/keys", 405, "method_not_allowed"),
            ("POST", "/healthz", 405, "method_not_allowed"),
        ):
            answer = await client.request(method, path)
            assert answer.status_code == answer.json()["error"]["startline"]["status"] == status, path
            assert answer.json()["error"]["code"] == code
            assert ("allow" in answer.headers) == (status == 405)
        allowed = (await client.put("/admin/v1/keys")).headers["allow"]
        assert allowed == "GET, HEAD, POST"


async def test_agents_that_look_whether_anybody_is_here_are_answered(rig: Rig) -> None:
    async with rig.http() as client:
        for _, path in PROBES:
            for method in ("GET", "HEAD"):
                answer = await client.request(method, path, headers={"authorization": ""}, follow_redirects=False)
                assert answer.status_code == 200, path


async def test_no_answer_sends_a_client_to_where_its_host_header_says(rig: Rig) -> None:
    async with rig.http() as client:
        for path in ("/healthz/", "/admin/v1/keys/", "/docs/errors/"):
            answer = await client.get(path, headers={"host": "evil.test"})
            assert (answer.status_code, "location" in answer.headers) == (404, False), path
