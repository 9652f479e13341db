"""The list of models in OpenAI's shape. The rule: the shape's own fields first, what Startline knows in one block."""

from collections.abc import Sequence
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()


class ModelRow(msgspec.Struct, frozen=True):
    """One model of one provider: the id to call it by, its tiers, and whether a flex race is possible."""

    id: str
    provider: str
    tiers: tuple[str, ...] = ()
    flex_race: bool = False
    created_unix_s: int = 0


def models_body(rows: Sequence[ModelRow]) -> bytes:
    """`GET /v1/models`."""
    return _ENCODER.encode({"object": "list", "data": [_model(row) for row in rows]})


def model_body(row: ModelRow) -> bytes:
    """`GET /v1/models/{id}`."""
    return _ENCODER.encode(_model(row))


def _model(row: ModelRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "model",
        "created": row.created_unix_s,
        "owned_by": row.provider,
        "service_tiers": row.tiers,
        "startline": {"provider": row.provider, "tiers": row.tiers, "flex_race": row.flex_race},
    }
