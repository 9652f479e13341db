"""The list of models in each dialect. The rule: the shape's own fields first, what Startline knows in one block.

OpenAI's list is whole; Anthropic's comes in pages by id, Google's by an opaque token (here: the next row's number).
Sources: the official SDKs' types of models and of their pages.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec

from appliance.wire.provider_errors import family_of

MOST_LISTED = 1000
ANTHROPIC_PAGE = 20
GOOGLE_PAGE = 50
_ENCODER = msgspec.json.Encoder()


class ModelRow(msgspec.Struct, frozen=True):
    """One model of one provider: the id to call it by, its tiers, and whether a flex race is possible.

    `prices`: by tier, dollars per million tokens, None where they are not known; `policy`: what becomes of data;
    `modalities`: the kinds of `input` and `output`, None where they are not known.
    """

    id: str
    provider: str
    tiers: tuple[str, ...] = ()
    flex_race: bool = False
    created_unix_s: int = 0
    context_tokens: int | None = None
    prices: dict[str, dict[str, float] | None] = {}
    policy: dict[str, str] = {}
    modalities: dict[str, list[str]] | None = None


class Page(msgspec.Struct, frozen=True):
    """What part of a list is asked for; `most` 0: the dialect's usual page."""

    most: int = 0
    after: str = ""
    before: str = ""
    token: str = ""


def page_of(query: bytes) -> Page:
    """The page that a query asks for, in either dialect's words; what is not understood is ignored."""
    if not query:
        return Page()
    asked = {name: values[0] for name, values in parse_qs(query.decode("latin-1")).items()}
    most = asked.get("limit") or asked.get("pageSize") or asked.get("page_size") or "0"
    return Page(
        min(int(most), MOST_LISTED) if most.isdecimal() and len(most) < 6 else 0,
        asked.get("after_id", ""),
        asked.get("before_id", ""),
        asked.get("pageToken") or asked.get("page_token") or "",
    )


def models_body(rows: Sequence[ModelRow], dialect: str = "openai_models", page: Page = Page()) -> bytes:
    """The list of models."""
    if family_of(dialect) == "anthropic":
        return _ENCODER.encode(_anthropic_page(rows, page))
    if family_of(dialect) == "gemini":
        return _ENCODER.encode(_google_page(rows, page))
    return _ENCODER.encode({"object": "list", "data": [_openai(row) for row in rows]})


def model_body(row: ModelRow, dialect: str = "openai_models") -> bytes:
    """One model."""
    written = {"openai": _openai, "anthropic": _anthropic, "gemini": _google}[family_of(dialect)]
    return _ENCODER.encode(written(row))


def _known(row: ModelRow) -> dict[str, Any]:
    return {
        "provider": row.provider,
        "tiers": row.tiers,
        "flex_race": row.flex_race,
        "context_window": row.context_tokens,
        "modalities": row.modalities,
        "usd_per_million_tokens": row.prices,
        "data_policy": row.policy,
    }


def _openai(row: ModelRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "model",
        "created": row.created_unix_s,
        "owned_by": row.provider,
        "service_tiers": row.tiers,
        "context_window": row.context_tokens,
        "startline": _known(row),
    }


def _anthropic(row: ModelRow) -> dict[str, Any]:
    created = datetime.fromtimestamp(row.created_unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": "model",
        "id": row.id,
        "display_name": row.id,
        "created_at": created,
        "lifecycle": "active",
        "max_input_tokens": row.context_tokens,
        "startline": _known(row),
    }


def _anthropic_page(rows: Sequence[ModelRow], page: Page) -> dict[str, Any]:
    ids = [row.id for row in rows]
    most = page.most or ANTHROPIC_PAGE
    begin = ids.index(page.after) + 1 if page.after in ids else 0
    end = ids.index(page.before) if page.before in ids else len(ids)
    shown = rows[max(begin, end - most) : end] if page.before in ids else rows[begin : begin + most]
    more = begin < end - most if page.before in ids else begin + most < len(ids)
    return {
        "data": [_anthropic(row) for row in shown],
        "has_more": more,
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
    }


def _google(row: ModelRow) -> dict[str, Any]:
    return {
        "name": f"models/{row.id}",
        "baseModelId": row.id,
        "version": "",
        "displayName": row.id,
        **({} if row.context_tokens is None else {"inputTokenLimit": row.context_tokens}),
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "startline": _known(row),
    }


def _google_page(rows: Sequence[ModelRow], page: Page) -> dict[str, Any]:
    begin = int(page.token) if page.token.isdecimal() and len(page.token) < 9 else 0
    end = begin + (page.most or GOOGLE_PAGE)
    told: dict[str, Any] = {"models": [_google(row) for row in rows[begin:end]]}
    if end < len(rows):
        told["nextPageToken"] = str(end)
    return told
