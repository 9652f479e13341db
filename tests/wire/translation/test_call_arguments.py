import pytest

from appliance.domain.chat import ToolCall
from appliance.wire.translation.call_arguments import arguments
from appliance.wire.translation.drops import Inexpressible


@pytest.mark.parametrize(("written", "told"), [('{ "b":1,"a":2}', b'{ "b":1,"a":2}'), ("", b"{}"), (" \n", b"{}")])
def test_the_models_own_bytes_or_an_empty_object(written: str, told: bytes) -> None:
    assert bytes(arguments(ToolCall("c", "f", written), "messages[0]")) == told


@pytest.mark.parametrize("written", ['{"a":', "[]", "3", "{" * 100_000])
def test_what_is_no_object_is_refused_with_its_place(written: str) -> None:
    with pytest.raises(Inexpressible) as caught:
        arguments(ToolCall("c", "f", written), "messages[0]")
    assert caught.value.param == "messages[0]"
