"""All cells of a study in one small file, so that whoever reads a table can check it. The rule: it is judged the same.

By policy and figure, the values of all seeds, rounded where no verdict looks.
"""

import msgspec

from appliance.evaluation.setting import Setting
from appliance.evaluation.study import Cell, Figures

DIGITS = {"start": 5, "worst": 4, "cost": 5, "dear": 3}


class Packed(msgspec.Struct, frozen=True):
    """One cell; `figures`: by policy and the name of the figure."""

    world: str
    kind: str
    setting: Setting
    requests: int
    attainable: float
    figures: dict[str, dict[str, list[float]]]
    explored: list[float]


def pack(cells: list[Cell]) -> bytes:
    """As JSON, a line for each cell."""
    lines = (msgspec.json.encode(_packed(cell)) for cell in cells)
    return b"[\n" + b",\n".join(lines) + b"\n]\n"


def unpack(packed: bytes) -> list[Cell]:
    """What was packed. Raises msgspec.DecodeError for anything else."""
    return [
        Cell(
            one.world,
            one.kind,
            one.setting,
            one.requests,
            one.attainable,
            {name: _figures(values) for name, values in one.figures.items()},
            one.explored,
        )
        for one in msgspec.json.decode(packed, type=list[Packed])
    ]


def _packed(cell: Cell) -> Packed:
    figures = {
        name: {field: [round(getattr(one, field), digits) for one in seeds] for field, digits in DIGITS.items()}
        for name, seeds in cell.figures.items()
    }
    explored = [round(share, 5) for share in cell.explored]
    return Packed(cell.world, cell.kind, cell.setting, cell.requests, cell.attainable, figures, explored)


def _figures(values: dict[str, list[float]]) -> list[Figures]:
    return [Figures(*seed) for seed in zip(*(values[field] for field in DIGITS), strict=True)]
