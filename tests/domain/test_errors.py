"""A fault says whose it is, keeps its code, and tells nothing that it should not."""

import pytest

from appliance.domain.errors import FAULTS, ApplianceFault, CallerFault, Fault, UpstreamFault


@pytest.mark.parametrize("code", sorted(FAULTS))
def test_every_code_has_a_status_a_remedy_and_a_class(code: str) -> None:
    kind = FAULTS[code]
    assert kind.code == code and 400 <= kind.status <= 599 and kind.remedy.endswith((".", "…", "add", "test", "--key"))
    fault = CallerFault(code)
    assert (fault.code, fault.status, fault.klass, fault.retryable) == (code, kind.status, kind.klass, kind.retryable)
    assert fault.message == kind.remedy


def test_the_origin_tells_whose_fault_it_is() -> None:
    assert UpstreamFault("provider_error").origin == "provider"
    assert CallerFault("bad_request").origin == ApplianceFault("internal_error").origin == "startline"


def test_a_suffix_makes_a_code_of_its_own_in_the_same_row() -> None:
    fault = CallerFault("flex_unsupported", suffix="_for_acme")
    assert fault.code == "flex_unsupported_for_acme" and fault.kind is FAULTS["flex_unsupported"]


def test_what_a_log_would_print_of_a_fault_holds_no_content() -> None:
    fault = UpstreamFault("provider_rejected", "a sentence", body=b"the provider's words", headers=((b"a", b"b"),))
    assert str(fault) == "provider_rejected" and "words" not in repr(fault) and "sentence" not in repr(fault)


def test_an_unknown_code_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        Fault("no_such_code")
