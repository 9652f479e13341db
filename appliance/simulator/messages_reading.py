"""Reading a request of Anthropic's Messages, with the refusals by which Anthropic protects its protocol.

Rule: what a translator can get wrong is refused as Anthropic refuses it: fields it does not know, turns whose tool
results do not answer the calls before them, thinking that it did not sign. Source of the fields: the SDK's
`types/message_create_params.py`, `types/beta/message_create_params.py` and `types/*_param.py`.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import Any, Final

from appliance.simulator.completion import Asked, Tool, texts
from appliance.simulator.faults import Fault, Rejected, invalid
from appliance.simulator.reading import boolean, last_user_text, objects, positive, stop_sequences

_FIELDS: Final = frozenset(
    """model messages max_tokens system metadata stop_sequences stream temperature top_k top_p tools tool_choice
    thinking service_tier output_config output_format cache_control container diagnostics inference_geo speed
    billing_policy compaction context_management fallback_credit_token fallbacks mcp_servers thread""".split()
)
_BLOCKS: Final = frozenset(
    """text image document search_result thinking redacted_thinking tool_use tool_result server_tool_use
    web_search_tool_result web_fetch_tool_result code_execution_tool_result bash_code_execution_tool_result
    text_editor_code_execution_tool_result tool_search_tool_result tool_reference container_upload mid_conv_system
    mcp_tool_use mcp_tool_result compaction""".split()
)
_IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_REDACTED: Final = "sim-redacted-"
_NO_THREADS: Final = Fault(
    400,
    "invalid_request_error",
    None,
    "thread: is not supported for this request",
    details=({"error_code": "thread_unsupported_request", "unsupported": ["thread"]},),
)
"""No conversation is held here. Source of the codes: the Node SDK's `lib/internal/threads/ThreadState`."""


def signature(thinking: str) -> str:
    """The signature under thinking: whoever changes a character of it is found out."""
    return base64.b64encode(b"simulator" + hashlib.sha256(thinking.encode("utf-8", "surrogatepass")).digest()).decode()


def redacted(identity: str) -> str:
    """The data of a redacted thinking block."""
    return base64.b64encode(f"{_REDACTED}{identity}".encode()).decode()


def read(body: dict[str, Any], *, counting: bool = False) -> Asked:
    """The request as the simulator understands it; when counting there need be no `max_tokens`. Raises Rejected."""
    for field in body:
        if field not in _FIELDS:
            raise invalid(f"{field}: Extra inputs are not permitted", field)
    if body.get("thread") is not None:
        raise Rejected(_NO_THREADS)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages: at least one message is required", "messages")
    most = positive(body, "max_tokens")
    if most is None and not counting:
        raise invalid("max_tokens: Field required", "max_tokens")
    for field in ("temperature", "top_p"):
        value = body.get(field)
        if value is not None and (not isinstance(value, int | float) or not 0 <= value <= 1):
            raise invalid(f"{field}: range: 0..1", field)
    system = body.get("system")
    parts = system if isinstance(system, list) else []
    if not isinstance(system, str | list | None) or len(_texts(parts)) != len(parts):
        raise invalid("system: Input should be a valid string or list of text blocks", "system")
    counted = _turns(messages)
    reasoning, omitted = _thinking(body, most)
    choice = body.get("tool_choice")
    choice = choice if isinstance(choice, dict) else {}
    forced = choice.get("type") in ("any", "tool")
    if forced and reasoning and body["thinking"]["type"] == "enabled":
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.", "tool_choice")
    tools = _tools(body, choice)
    return Asked(
        body=body,
        model=body["model"],
        prompt=texts([system, body.get("tools")]) + tuple(counted.texts),
        media=counted.media,
        last_user_text=last_user_text([turn for turn in objects(messages) if not _ends_in_result(turn)]),
        after_tool=isinstance(messages[-1], dict) and _ends_in_result(messages[-1]),
        max_tokens=most,
        tools=tools,
        tool_forced=forced,
        parallel_tools=choice.get("disable_parallel_tool_use") is not True,
        schema=_schema(body),
        stop=stop_sequences(body.get("stop_sequences")),
        reasoning=reasoning,
        wants_summary=not omitted,
        stream=boolean(body, "stream"),
        include_usage=True,
    )


class _Counted:
    """What is in the messages: texts, and how many images and documents."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.media = 0


def _turns(messages: list[Any]) -> _Counted:
    counted = _Counted()
    open_calls: list[str] = []
    for number, turn in enumerate(messages):
        where = f"messages.{number}"
        if not isinstance(turn, dict) or turn.get("role") not in ("user", "assistant", "system"):
            raise invalid(f"{where}.role: Input should be 'user', 'assistant' or 'system'", "messages")
        content = turn.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
            raise invalid(f"{where}.content: Input should be a valid string or list", "messages")
        if not blocks and number < len(messages) - 1:
            raise invalid(f"{where}: all messages must have non-empty content", "messages")
        answered = [str(block.get("tool_use_id")) for block in _results(turn)]
        if turn["role"] == "system":
            answered = open_calls  # a system message may stand between a call and its result
        missing = [call for call in open_calls if call not in answered]
        if missing:
            raise invalid(
                f"{where}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block.",
                "messages",
            )
        if any(call not in open_calls for call in answered):
            raise invalid(f"{where}: unexpected `tool_use_id` found in `tool_result` blocks", "messages")
        for at, block in enumerate(blocks):
            _block(block, f"{where}.content.{at}", turn["role"], counted)
        if turn["role"] != "system":
            open_calls = [str(block.get("id")) for block in blocks if block.get("type") == "tool_use"]
    if open_calls:
        raise invalid("messages: the last turn has `tool_use` without `tool_result`", "messages")
    return counted


def _results(turn: dict[str, Any]) -> list[dict[str, Any]]:
    return [block for block in objects(turn.get("content")) if block.get("type") == "tool_result"]


def _ends_in_result(turn: dict[str, Any]) -> bool:
    """Whether nothing follows the results: else the user has spoken since."""
    blocks = objects(turn.get("content"))
    return bool(blocks) and blocks[-1].get("type") == "tool_result"


def _texts(value: object) -> list[str]:
    return [part["text"] for part in objects(value) if part.get("type") == "text" and isinstance(part.get("text"), str)]


def _block(block: dict[str, Any], where: str, role: str, counted: _Counted) -> None:
    kind = block.get("type")
    if kind not in _BLOCKS:
        raise invalid(f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags", where)
    match kind:
        case "text":
            if not isinstance(block.get("text"), str) or not block["text"]:
                raise invalid(f"{where}: text content blocks must be non-empty", where)
            counted.texts.append(block["text"])
        case "image" | "document":
            counted.media += 1
            _source(block.get("source"), where, kind)
        case "thinking":
            if role != "assistant" or block.get("signature") != signature(str(block.get("thinking"))):
                raise invalid(f"{where}: Invalid `signature` in `thinking` block", where)
        case "redacted_thinking":
            if role != "assistant" or not _ours(block.get("data")):
                raise invalid(f"{where}: Invalid `data` in `redacted_thinking` block", where)
        case "tool_use":
            if role != "assistant" or not isinstance(block.get("input"), dict):
                raise invalid(f"{where}.tool_use.input: Input should be a valid dictionary", where)
            counted.texts.extend(texts([block.get("name"), block["input"]]))
        case "tool_result":
            content = block.get("content")
            for at, inner in enumerate(_inner(content)):
                _block(inner, f"{where}.content.{at}", "user", counted)
        case _:
            counted.texts.extend(texts(block))


def _inner(content: object) -> Iterator[dict[str, Any]]:
    """The blocks of a tool's result; an empty result is allowed."""
    if isinstance(content, str):
        yield from [{"type": "text", "text": content}] if content else []
    yield from objects(content)


def _source(source: object, where: str, kind: str) -> None:
    given = source if isinstance(source, dict) else {}
    match given.get("type"):
        case "base64":
            media_type = given.get("media_type")
            if media_type not in (_IMAGES if kind == "image" else ("application/pdf",)):
                raise invalid(f"{where}.{kind}.source.base64.media_type: Input should be a known media type", where)
            try:
                good = bool(base64.b64decode(given["data"], validate=True))
            except (binascii.Error, ValueError, TypeError, KeyError):
                good = False
            if not good:
                raise invalid(f"{where}.{kind}.source.base64.data: invalid base64 data", where)
        case "url":
            if not str(given.get("url")).startswith(("https://", "http://")):
                raise invalid(f"{where}.{kind}.source.url.url: Only HTTPS URLs are supported.", where)
        case "file" | "text" | "content":
            pass
        case _:
            raise invalid(f"{where}.{kind}.source: Input tag does not match any of the expected tags", where)


def _ours(data: object) -> bool:
    try:
        return base64.b64decode(str(data), validate=True).startswith(_REDACTED.encode())
    except (binascii.Error, ValueError):
        return False


def _thinking(body: dict[str, Any], most: int | None) -> tuple[bool, bool]:
    """Whether the model may think, and whether its thoughts are left out of the answer."""
    given = body.get("thinking")
    if given is None:
        return False, False
    kind = given.get("type") if isinstance(given, dict) else None
    if not isinstance(given, dict) or kind not in ("enabled", "disabled", "adaptive", "between_tools"):
        raise invalid("thinking: Input tag does not match any of the expected tags", "thinking")
    if kind == "enabled":
        budget = positive(given, "budget_tokens") or 0
        if budget < 1024:
            raise invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024", "thinking")
        if most is not None and budget >= most:
            raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.", "max_tokens")
    return kind in ("enabled", "adaptive"), given.get("display") == "omitted"


def _tools(body: dict[str, Any], choice: dict[str, Any]) -> tuple[Tool, ...]:
    """The tools that the client runs; those that Anthropic runs are accepted and never called."""
    offered = [tool for tool in objects(body.get("tools")) if tool.get("type") in (None, "custom")]
    for number, tool in enumerate(offered):
        schema = tool.get("input_schema")
        if not isinstance(tool.get("name"), str) or not tool["name"].replace("_", "").replace("-", "").isalnum():
            raise invalid(
                f"tools.{number}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'", "tools"
            )
        if not isinstance(schema, dict) or schema.get("type") != "object":
            raise invalid(f"tools.{number}.custom.input_schema.type: Field required", "tools")
    if choice.get("type") == "none":
        return ()
    named = choice.get("name") if choice.get("type") == "tool" else None
    if named is not None and all(tool["name"] != named for tool in offered):
        raise invalid(f"Tool '{named}' not found in provided tools", "tool_choice")
    return tuple(Tool(tool["name"], tool["input_schema"]) for tool in offered if named in (None, tool["name"]))


def _schema(body: dict[str, Any]) -> object:
    config = body.get("output_config")
    form = config.get("format") if isinstance(config, dict) else body.get("output_format")
    if not isinstance(form, dict):
        return None
    if form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
        raise invalid("output_config.format.schema: Field required", "output_config")
    return form["schema"]
