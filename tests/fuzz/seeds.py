"""What fuzzing starts from: the corpora of the tests, and the words that each target knows."""

import gzip
import zlib

import brotli
import zstandard

from tests.http1.smuggling_corpus import CORPUS
from tests.wire.streams import GOLDEN

GOOD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /a?b=c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nA: b\r\n\r\n",
    b"GET http://b/c HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:8\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    b"\r\nHEAD / HTTP/1.1\r\nHost:a\r\nContent-Length:\t 0 \t\r\n\r\n",
)
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.0 200 \r\n\r\nuntil the end",
    b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nh",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\nsurplus",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
)
CHUNKS = (
    b"3\r\nabc\r\n0\r\n\r\n",
    b"a;x=y\r\n0123456789\r\n1\r\nz\r\n0\r\nA: b\r\nC: d\r\n\r\nGET",
    b"0\r\n\r\n",
    b"00001\r\nx\r\n000\r\n\r\n",
)
BODIES = (
    b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}',
    b'{"model":"m","start_within":"30s","service_tier":null,"tools":[{"type":"function"}],"max_tokens":5}',
    b' { "a" : [1, -2.5e+3, "\\u00e9\\ud83d\\ude00", true, null, {"b":{}}] , "model":"x", "model":"y" } ',
    '{"modèle":"é","n":1,"Stream":false,"ſ":1}'.encode(),
    b'{"start_within":30,"model":"p/m","input":"x","max_output_tokens":12345678901234567890}',
    b"[1,2]",
    b"{}",
)
MORE_BODIES = (
    b'{"contents":[{"role":"user","parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":5},"tools":[]}',
    b'{"model":"m","input":"x","generation_config":{"max_output_tokens":7},"stream":true,"background":true}',
    b'{"id":"x","usage":{"prompt_tokens":1,"completion_tokens":2},"service_tier":"flex","choices":[]}',
    b'{"id":"m","type":"message","usage":{"input_tokens":1,"output_tokens":2,"service_tier":"batch"},"content":[]}',
    b'{"candidates":[{"content":{"parts":[{"text":"x"}]}}],"usageMetadata":{"promptTokenCount":1,"totalTokenCount":2}}',
    b'{"error":{"message":"x","type":"y","code":429,"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"5s"}]}}',
    b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}',
)
REQUESTS = (
    (
        b'{"model":"m","max_tokens":9,"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"x"'
        b'},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"eA=="}}]},{"role":"assistan'
        b't","content":[{"type":"tool_use","id":"t","name":"f","input":{"a":1}}]},{"role":"user","content":[{"type'
        b'":"tool_result","tool_use_id":"t","content":"y"}]}],"tools":[{"name":"f","input_schema":{"type":"object"'
        b'}}],"thinking":{"type":"enabled","budget_tokens":1024},"stop_sequences":["z"]}'
    ),
    (
        b'{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"x"},{"role":"assistan'
        b't","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\\"a\\":1'
        b'}"}}]},{"role":"tool","tool_call_id":"t","content":"y"}],"tools":[{"type":"function","function":{"name":'
        b'"f","parameters":{"type":"object"}}}],"tool_choice":"auto","response_format":{"type":"json_schema","json'
        b'_schema":{"name":"n","schema":{}}},"max_completion_tokens":9,"stop":["z"],"seed":1,"reasoning_effort":"l'
        b'ow"}'
    ),
    (
        b'{"model":"m","instructions":"s","input":[{"role":"user","content":[{"type":"input_text","text":"x"}]},{"'
        b'type":"function_call","call_id":"t","name":"f","arguments":"{}"},{"type":"function_call_output","call_id'
        b'":"t","output":"y"}],"tools":[{"type":"function","name":"f","parameters":{}}],"max_output_tokens":9,"sto'
        b're":false}'
    ),
    (
        b'{"contents":[{"role":"user","parts":[{"text":"x"},{"inlineData":{"mimeType":"image/png","data":"eA=="}}]'
        b'},{"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":1}}}]},{"role":"user","parts":[{"func'
        b'tionResponse":{"name":"f","response":{"b":2}}}]}],"tools":[{"functionDeclarations":[{"name":"f","paramet'
        b'ers":{"type":"OBJECT"}}]}],"generationConfig":{"maxOutputTokens":9,"stopSequences":["z"],"thinkingConfig'
        b'":{"thinkingBudget":0}}}'
    ),
    (
        b'{"model":"m","input":[{"type":"text","text":"x"}],"system_instruction":"s","tools":[{"type":"function","'
        b'name":"f"}]}'
    ),
)
VALUES = (
    b"Bearer sk-sl-000000000000-0000000000000000000000000000000000000000000000000",
    b"127.0.0.1, [::1]:80, 10.0.0.1:5, ::ffff:10.0.0.1, fe80::1%eth0",
    b"models/provider/model%2Fx%ff%0d%0a",
    b"00h-01m-30s",
    b"1m30s",
    b"key=a&key=b",
)


def _packed() -> tuple[bytes, ...]:
    plain = b'{"model":"m","messages":[]}' * 3
    raw = zlib.compressobj(wbits=-15)
    return (
        b"\x00" + gzip.compress(plain),
        b"\x00" + gzip.compress(b"a") + gzip.compress(b"b" * 5000),
        b"\x01" + zlib.compress(plain),
        b"\x01" + raw.compress(plain) + raw.flush(),
        b"\x02" + brotli.compress(plain),
        b"\x02" + brotli.compress(bytes(6000)),
        b"\x03" + zstandard.compress(plain),
        b"\x03" + zstandard.compress(b"a") + b"\x50\x2a\x4d\x18\x01\x00\x00\x00x" + zstandard.compress(bytes(5000)),
    )


def seeds_of(target: str) -> tuple[bytes, ...]:
    """The bytes that a target's cases are made from."""
    hostile = tuple(data for _, data, _, _ in CORPUS)
    return {
        "request": GOOD + hostile,
        "gate": GOOD + hostile,
        "chunked": CHUNKS + tuple(data.split(b"\r\n\r\n", 1)[1] for name, data, _, _ in CORPUS if "chunk_" in name),
        "response": ANSWERS,
        "body": BODIES,
        "compressed": _packed(),
        "sse": tuple(file.read_bytes()[:1500] for file in sorted(GOLDEN.glob("*/*.sse"))),
        "dialects": BODIES + MORE_BODIES + tuple(file.read_bytes()[:2000] for file in sorted(GOLDEN.glob("*/*.sse"))),
        "translation": REQUESTS
        + MORE_BODIES
        + tuple(file.read_bytes()[:3000] for file in sorted(GOLDEN.glob("*/events_*.sse"))),
        "values": VALUES,
    }[target]


_HTTP_WORDS = (
    b"\r\n",
    b"\r\n\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b":",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b";x=y",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, upgrade\r\nUpgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"Host: a\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x00",
    b"\xff",
    b"\x0b",
    b"A" * 70,
)
_JSON_WORDS = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"null",
    b"true",
    b'"model":',
    b'"stream":true,',
    b'"start_within":"9s",',
    b'"service_tier":"flex",',
    b'"stream_options":{"include_usage":true},',
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"1e400",
    b"-0",
    b"0.1E-2",
    b"9" * 40,
    b"\xef\xbb\xbf",
    b"\xc3\xa9",
    b"\xff",
    b"[" * 50,
    b'{"a":' * 20,
    "ſ".encode(),
)
_SSE_WORDS = (
    b"\n\n",
    b"\r\n\r\n",
    b"\r\r",
    b"\n",
    b"\r",
    b"data: ",
    b"data:",
    b"event: error\n",
    b": comment\n\n",
    b"id: 1\n",
    b"data: [DONE]\n\n",
    b"data: {}\n\n",
    b'data: {"error":{"message":"x","code":5}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    b"\xef\xbb\xbf",
    b'{"type":"response.completed"}',
    b"null",
    b"[]",
    b"9" * 30,
    b'"',
    b"\\ud800",
)


def words_of(target: str) -> tuple[bytes, ...]:
    """The words that a target's cases get thrown in."""
    if target in ("request", "gate", "chunked", "response"):
        return _HTTP_WORDS
    if target == "sse":
        return _SSE_WORDS
    if target == "body":
        return _JSON_WORDS
    if target in ("dialects", "translation"):
        return _JSON_WORDS + _SSE_WORDS
    if target == "compressed":
        return (b"\x00", b"\xff", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x78\x9c", b"\x50\x2a\x4d\x18", b"\x03\x00")
    return (
        b":",
        b".",
        b"%",
        b"%ff",
        b"[",
        b"]",
        b",",
        b"\r\n",
        b"\n",
        b"\x00",
        b"\xff",
        b"9" * 10,
        b"s",
        b"-",
        b"key=",
    )
