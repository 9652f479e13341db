"""Presets: a model and how it is to be asked, under a name. The rule: a preset says nothing that a request could not.

A caller names one as the model `@preset/NAME`, or with a model of its own as `provider/model@preset/NAME`, or in the
field `preset`. What the request itself says goes before it.
"""

import re

import msgspec

MARK = "@preset/"
"""What stands before a preset's name where a model is named."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
"""A preset's name: it is part of a model's name, and of paths."""


class Preset(msgspec.Struct, frozen=True):
    """One organisation's preset. None: it says nothing of that. `start_within` is a text of domain.tier.

    `model` as a request would name it; `ladder` as texts of domain.ladder; `finish_within` a text of a duration.
    """

    preset_id: str
    organisation_id: str
    name: str
    model: str | None = None
    ladder: tuple[str, ...] | None = None
    start_within: str | None = None
    start_target: float | None = None
    finish_within: str | None = None


def split_preset(model: str) -> tuple[str, str | None]:
    """A model as a caller names it: the model alone (empty: the preset's) and the preset's name, None without one."""
    bare, mark, name = model.partition(MARK)
    return (bare, name) if mark else (model, None)
