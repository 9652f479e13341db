from msgspec import Raw

from appliance.domain.chat import Citation, Opaque, Reasoning, Text, ToolCall
from appliance.wire.translation.openai_responses_items import annotation_object, id_of, item_of


def test_ids_differ_by_kind_answer_and_place_and_hold_no_odd_characters() -> None:
    parts = (Text(""), Reasoning(), ToolCall("c", "f", ""), ToolCall("c", "f", "", custom=True))
    ids = {id_of(part, answer, index) for part in parts for answer in ("resp-é_1", "resp_2") for index in range(12)}
    assert len(ids) == 96
    assert id_of(Text(""), "msg-é/" + "x" * 99, 3) == "msg_" + "x" * 32 + "03"


def test_a_citation_without_places_covers_the_text() -> None:
    assert annotation_object(Citation("https://e.org"), 9) == {
        "type": "url_citation",
        "url": "https://e.org",
        "title": "",
        "start_index": 0,
        "end_index": 9,
    }
    assert annotation_object(Citation(quote="of a document"), 9) is None


def test_another_dialects_block_is_no_item() -> None:
    assert item_of(Opaque("anthropic_messages", "x", Raw(b"{}")), "r", 0) is None
