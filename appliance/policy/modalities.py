"""What a model reads and writes: text, images, files, sound. The rule: what the table does not list is unknown.

The table is modalities.json, which packaging/compile-modalities writes from LiteLLM's model table (MIT).
"""

import re

import msgspec

MODALITIES_FILE = "modalities.json"

_DATE = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")
"""A dated snapshot of a model reads and writes what the model does."""


class _File(msgspec.Struct, frozen=True):
    lists: dict[str, dict[str, str]]


class Modalities:
    """The table. `data`: the bytes of modalities.json; without them nothing is known."""

    def __init__(self, data: bytes = b'{"lists":{}}') -> None:
        self._lists = msgspec.json.decode(data, type=_File).lists

    def of(self, price_as: str, model: str) -> dict[str, list[str]] | None:
        """The kinds of `input` and `output` of a model in a provider's list; None: not known."""
        listed = self._lists.get(price_as, {})
        name = model.lower()
        found = listed.get(name) or listed.get(_DATE.sub("", name))
        if found is None:
            return None
        read, written = found.split(" > ")
        return {"input": read.split(), "output": written.split()}
