"""Exact behaviour for one request: `key=value,key=value` from a header, the model's name or the request's metadata.

Rule: an override changes fields of the Behaviour that the world gives, and a mistake in it is an error that the
caller sees. A key may carry a tier (`flex.start=9`): it then counts for requests that ask for that tier only, so that
one text can script a whole race. Values are percent-decoded (a comma is `%2C`).
"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from appliance.simulator.world import Behaviour

MODEL_MARK: Final = "@sim:"  # MODEL@sim:KEY=VALUE,… in the model's name
METADATA_FIELDS: Final = ("metadata", "labels")  # Gemini has labels
METADATA_KEY: Final = "simulator"  # metadata: {"simulator": "KEY=VALUE,…"}: passes through any gateway
HEADER: Final = "x-simulator"
_TIERS: Final = ("flex", "default", "priority")


class BadOverride(ValueError):
    """The text of an override cannot be understood; the message says where."""


class Override(msgspec.Struct, frozen=True):
    """A parsed override: what it changes in the behaviour, and the two facts that are not behaviour."""

    changes: dict[str, Any] = {}
    id: str = ""  # use this in the ids of the answer
    mark: str = ""  # written into the journal, to find the request again

    def apply(self, behaviour: Behaviour) -> Behaviour:
        """The behaviour with the changes made. Raises BadOverride for an unknown field or a value of a wrong type."""
        if not self.changes:
            return behaviour
        try:
            given = msgspec.convert(self.changes, Behaviour, strict=False)
        except msgspec.ValidationError as error:
            raise BadOverride(str(error)) from error
        return msgspec.structs.replace(behaviour, **{name: getattr(given, name) for name in self.changes})


def _after(kind: str, **more: object) -> Callable[[str], dict[str, Any]]:
    return lambda value: {f"{kind}_rate": 1.0, f"{kind}_after_tokens": value or 0, **more}


# Short forms, each for a fate that then surely happens.
_SHORT: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    "refuse": lambda value: {"refusal_rate": 1.0, "refusal": value or "flex_unavailable"},
    "cut": _after("cut"),
    "reset": _after("cut", cut_reset=True),
    "stall": _after("stall"),
    "error": _after("error"),
    "never": lambda value: {"never_rate": 1.0},
    "downgrade": lambda value: {"downgrade_rate": 1.0},
    "decline": lambda value: {"decline_rate": 1.0},
    "tokens": lambda value: {"output_tokens": value},
}


def parse(text: str, tier: str) -> Override:
    """The override in `text` as it counts for a request that asks for `tier`. Raises BadOverride."""
    changes: dict[str, Any] = {}
    facts = {"id": "", "mark": ""}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = part.partition("=")
        value = unquote(value)
        scope, dot, rest = key.partition(".")
        if dot:
            if scope not in _TIERS:
                raise BadOverride(f"{scope!r} is not a tier; tiers are {', '.join(_TIERS)}")
            if scope != tier:
                continue
            key = rest
        if key in facts:
            facts[key] = value
        elif key in _SHORT:
            changes |= _SHORT[key](value)
        elif key in Behaviour.__struct_fields__ and key != "script":
            changes[key] = value
        else:
            raise BadOverride(f"{key!r} is neither a field of a behaviour nor a short form")
    return Override(changes, facts["id"], facts["mark"])


def split_model(model: str) -> tuple[str, str]:
    """A model's name without its override, and the override's text (empty when there is none)."""
    name, _, text = model.partition(MODEL_MARK)
    return name, text
