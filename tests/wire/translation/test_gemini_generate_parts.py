from msgspec import Raw

from appliance.domain.chat import ToolCall
from appliance.wire.translation.gemini_generate_answer_shapes import CallShape, PartShape
from appliance.wire.translation.gemini_generate_parts import call_of, opaque_of


def test_a_call_without_an_id_gets_one_that_no_other_turn_has() -> None:
    assert call_of(CallShape("f", Raw(b'{"a":1}'), "id"), "r", 3) == ToolCall("id", "f", '{"a":1}')
    assert call_of(CallShape("f"), "r é/1", 3) == ToolCall("call_r1_3", "f", "{}")


def test_what_only_google_knows_is_kept_as_it_stood() -> None:
    opaque = opaque_of(PartShape(executable_code=Raw(b'{"code":"1"}'), thought_signature="AA=="))
    assert opaque is not None
    assert bytes(opaque.raw) == b'{"thoughtSignature":"AA==","executableCode":{"code":"1"}}'
    assert opaque_of(PartShape(inline_data=Raw(b"null"))) is None
