"""Every way a request can fail, whose fault it is and what to do. The rule: a fault has a stable, documented code.

`FAULTS` is the one table; a `Fault` is raised or kept as a value, and `wire/faults.py` writes it in the caller's
dialect. Messages never contain content, secrets or a provider's words.
"""

from typing import Literal

import msgspec

FaultClass = Literal[
    "validation", "authentication", "permission", "not_found", "capability", "limit", "upstream", "internal", "canceled"
]
Origin = Literal["startline", "provider"]


class FaultKind(msgspec.Struct, frozen=True):
    """One row of the table: code, class, HTTP status, whether the same request may succeed later, and the remedy."""

    code: str
    klass: FaultClass
    status: int
    retryable: bool
    remedy: str


def _kinds(*kinds: FaultKind) -> dict[str, FaultKind]:
    return {kind.code: kind for kind in kinds}


FAULTS: dict[str, FaultKind] = _kinds(
    # the caller's
    FaultKind("bad_request", "validation", 400, False, "Mend the request as the message says."),
    FaultKind("bad_framing", "validation", 400, False, "Send well-formed HTTP/1.1."),
    FaultKind("bad_json", "validation", 400, False, "Send a JSON object encoded in UTF-8."),
    FaultKind("missing_model", "validation", 400, False, "Name a model; GET /v1/models lists them."),
    FaultKind("invalid_start_within", "validation", 400, False, "Use default, priority, auto, flex or e.g. 30s."),
    FaultKind("invalid_start_target", "validation", 400, False, "Use a probability such as 0.99 or 99%."),
    FaultKind("invalid_finish_within", "validation", 400, False, "Use a duration such as 90s, without a tier word."),
    FaultKind("invalid_ladder", "validation", 400, False, "ladder lists one to six steps such as provider/model:tier."),
    FaultKind("preset_not_found", "not_found", 400, False, "GET /v1/models lists the presets there are."),
    FaultKind("service_tier_not_allowed", "validation", 400, False, "Send start_within or service_tier, not both."),
    FaultKind("flex_unsupported", "capability", 400, False, "Use a tier word, or a provider that has a cheap tier."),
    FaultKind("flex_model_not_capable", "capability", 400, False, "Use a tier word, or a model with a flex tier."),
    FaultKind(
        "auto_unsupported", "capability", 400, False, "Use default, priority or a duration; this provider has no auto."
    ),
    FaultKind(
        "dialect_unsupported",
        "capability",
        400,
        False,
        "Use a model of a provider that speaks this dialect, or the dialect that the provider speaks.",
    ),
    FaultKind("inexpressible", "capability", 400, False, "Leave the field out, or use a provider of your own dialect."),
    FaultKind(
        "invalid_provider_chain",
        "validation",
        400,
        False,
        "provider lists one to three configured providers, each once.",
    ),
    FaultKind("provider_model_mismatch", "validation", 400, False, "Name providers that all have the model."),
    FaultKind("tier_not_allowed", "permission", 403, False, "Ask for another tier, or have the key changed."),
    FaultKind(
        "missing_api_key",
        "authentication",
        401,
        False,
        "Send Authorization: Bearer, and sk-sl-… for inference or mk-sl-… for management.",
    ),
    FaultKind("invalid_api_key", "authentication", 401, False, "Check the key; it may be cut short or mistyped."),
    FaultKind("revoked_api_key", "authentication", 401, False, "Ask the operator for a new key."),
    FaultKind("expired_api_key", "authentication", 401, False, "Ask the operator for a new key."),
    FaultKind("wrong_key_kind", "authentication", 401, False, "Inference takes sk-sl- keys, management mk-sl- keys."),
    FaultKind(
        "too_many_failed_keys",
        "limit",
        429,
        True,
        "Check the key: many that are not good came from this address. A good one passes at once.",
    ),
    FaultKind("address_not_allowed", "permission", 403, False, "Call from an address that the key allows."),
    FaultKind("model_not_allowed", "permission", 403, False, "Use a model that the key allows."),
    FaultKind("model_not_found", "not_found", 404, False, "GET /v1/models lists the models there are."),
    FaultKind(
        "model_unpriced", "capability", 400, False, "Its price is not known; the operator may add it, or allow it."
    ),
    FaultKind("route_not_found", "not_found", 404, False, "See the README for the routes there are."),
    FaultKind(
        "record_not_found", "not_found", 404, False, "List what there is; the id may be of another organisation."
    ),
    FaultKind(
        "request_not_found",
        "not_found",
        404,
        False,
        "Ask with the key that made the request, by its x-startline-request-id.",
    ),
    FaultKind("name_taken", "validation", 409, False, "Choose another name, or remove what has it."),
    FaultKind("operator_only", "permission", 403, False, "Use the command line on the machine that serves."),
    FaultKind("method_not_allowed", "validation", 405, False, "Use the method that the Allow header names."),
    FaultKind("request_timeout", "validation", 408, True, "Send the request without pauses."),
    FaultKind("request_too_large", "limit", 413, False, "Send a smaller body, or raise max_body_bytes."),
    FaultKind("unsupported_encoding", "validation", 415, False, "Use gzip, deflate, br, zstd or no compression."),
    FaultKind("expectation_failed", "validation", 417, False, "Send Expect: 100-continue or none."),
    FaultKind("head_too_large", "limit", 431, False, "Send fewer and shorter headers."),
    FaultKind(
        "not_implemented", "validation", 501, False, "Use a usual method, and content-length or chunked for bodies."
    ),
    FaultKind("http_version", "validation", 505, False, "Use HTTP/1.1."),
    # the provider's
    FaultKind("no_provider", "upstream", 503, False, "Add one: startline provider add"),
    FaultKind("provider_key_rejected", "upstream", 403, False, "Store a valid key: startline provider set --key"),
    FaultKind("provider_unreachable", "upstream", 502, True, "Check the provider's address and the network."),
    FaultKind("provider_refused", "upstream", 503, True, "No capacity on this tier; try later or a dearer tier."),
    FaultKind("provider_rate_limited", "upstream", 429, True, "Wait as retry-after says."),
    FaultKind("provider_rejected", "upstream", 400, False, "Mend the request as the provider's error says."),
    FaultKind("provider_error", "upstream", 502, True, "Try again; the provider failed."),
    FaultKind("provider_garbled", "upstream", 502, True, "Try again; the provider's answer was not understood."),
    FaultKind("provider_too_slow", "upstream", 504, True, "Try again, or allow more time."),
    FaultKind("provider_cut_off", "upstream", 502, True, "Try again; the answer ended before it was complete."),
    # ours
    FaultKind("breaker_open", "upstream", 503, True, "Wait as retry-after says; the provider failed several times."),
    FaultKind("all_rungs_failed", "upstream", 502, True, "Try again; every tier that may serve this failed."),
    FaultKind("store_unavailable", "internal", 503, True, "The operator must look at the disk; see the log."),
    FaultKind("vault_locked", "internal", 503, False, "The operator must provide the master key."),
    FaultKind(
        "out_of_descriptors", "internal", 503, True, "The operator must raise the limit of open files (LimitNOFILE)."
    ),
    FaultKind("shutting_down", "internal", 503, True, "Try again in a moment."),
    FaultKind("too_many_connections", "limit", 503, True, "Use fewer connections, or raise max_connections."),
    FaultKind(
        "too_many_connections_of_address",
        "limit",
        429,
        True,
        "Use fewer connections, raise max_connections_per_address, or list your balancer in trusted_proxies.",
    ),
    FaultKind("too_many_bodies", "limit", 503, True, "Try again in a moment, or raise max_bodies_bytes."),
    FaultKind(
        "too_many_requests_of_key", "limit", 429, True, "Wait for answers in work, or raise max_requests_per_key."
    ),
    FaultKind("internal_error", "internal", 500, True, "A fault of Startline; its log has the request id."),
    FaultKind("interrupted", "internal", 500, True, "Send it again; the server ended while the request was in work."),
    FaultKind("client_gone", "canceled", 499, False, "The client closed the connection before the answer ended."),
)


class Fault(Exception):
    """A failure as a value: whose fault it is, its code, and what the caller is told. Compare by identity.

    `body` holds a provider's error body when one came (content: never logged), with its `content_type` and the `family`
    of dialects that it is written in;
    `status` defaults to the table's; `phase` says where an upstream attempt was (connect, send, head, body, stream).
    """

    origin: Origin = "startline"
    block_names: tuple[str, ...] = ("startline",)
    """The names under which its block is written."""

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        status: int | None = None,
        provider: str | None = None,
        provider_code: str | None = None,
        suffix: str = "",
        param: str | None = None,
        retry_after_s: float | None = None,
        phase: str | None = None,
        body: bytes | None = None,
        content_type: bytes | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        family: str = "openai",
    ) -> None:
        self.kind = FAULTS[code]
        self.code = code + suffix
        self.message = message or self.kind.remedy
        self.status = status or self.kind.status
        self.provider = provider
        self.provider_code = provider_code
        self.param = param
        self.retry_after_s = retry_after_s
        self.phase = phase
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.family = family
        super().__init__(self.code)

    @property
    def klass(self) -> FaultClass:
        """The class of the table's row."""
        return self.kind.klass

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind.retryable


class CallerFault(Fault):
    """The caller must change something: bad request, unauthenticated, forbidden, unknown model, over a limit."""


class UpstreamFault(Fault):
    """The provider or the way to it failed; carries the phase, and the provider's own error when there is one."""

    origin: Origin = "provider"


class ApplianceFault(Fault):
    """Startline itself cannot serve: all rungs failed, store unavailable, vault locked, shutting down."""
