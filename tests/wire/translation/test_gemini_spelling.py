import msgspec

from appliance.wire.translation.gemini_spelling import in_camel_case


def test_names_of_google_are_spelt_in_camel_case_and_callers_own_are_not() -> None:
    told = in_camel_case(
        msgspec.json.encode(
            {
                "start_within": "30s",
                "finish_within": "60s",
                "generation_config": {
                    "response_json_schema": {"a_b": 1},
                    "thinking_config": {"include_thoughts": True},
                },
                "contents": [
                    {"parts": [{"function_call": {"name": "f_g", "args": {"my_key": {"inner_key": 1.0}}}}]},
                    {"parts": [{"function_response": {"name": "f_g", "response": {"my_key": 1}}}]},
                ],
                "labels": {"my_label": "x_y"},
            }
        )
    )
    assert msgspec.json.decode(told) == {
        "start_within": "30s",
        "finish_within": "60s",
        "generationConfig": {"responseJsonSchema": {"a_b": 1}, "thinkingConfig": {"includeThoughts": True}},
        "contents": [
            {"parts": [{"functionCall": {"name": "f_g", "args": {"my_key": {"inner_key": 1.0}}}}]},
            {"parts": [{"functionResponse": {"name": "f_g", "response": {"my_key": 1}}}]},
        ],
        "labels": {"my_label": "x_y"},
    }


def test_a_body_in_camel_case_is_not_touched() -> None:
    for body in (
        b'{ "generationConfig" : {"topK":1} }',
        b'{"contents":[{"parts":[{"text":"\\"top_k\\": 1"}]}]}',
        b'{"top_k": nonsense',
        b'["top_k"]',
    ):
        assert in_camel_case(body) == body
