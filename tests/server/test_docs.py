"""The page of error codes."""

from appliance.domain.errors import FAULTS
from appliance.wire.faults import DOC_PATH
from tests.rig import Rig


async def test_every_doc_url_leads_to_its_row(rig: Rig) -> None:
    async with rig.http() as client:
        answer = await client.get(DOC_PATH, headers={"authorization": ""})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    for code in FAULTS:
        assert f'id="{code}"' in answer.text
