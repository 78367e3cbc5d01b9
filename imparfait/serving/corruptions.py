"""A picture altered by imparfait's own alterations; importing this imports torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from imparfait.core.errors import lookup
from imparfait.core.types import Pixels
from imparfait.corruptions import ALTERATIONS
from imparfait.corruptions.base import ONCE
from imparfait.data.corrupted import altered_by
from imparfait.data.dataset import LabelledImages
from imparfait.serving.schemas import Alteration

LEVELS = tuple(round(0.1 * step, 1) for step in range(11))
Picture = UInt8[np.ndarray, "channels height width"]


torch.set_num_threads(1)  # the other cores are for predictions, and small pictures gain nothing by more


@dataclass(frozen=True, eq=False)
class Row:
    """A picture under one alteration, at each of its levels."""

    alteration: Alteration
    levels: tuple[float, ...]
    pixels: Pixels

    @property
    def told(self) -> dict[str, Any]:
        """What the API says of it, beside the models' answers."""
        return {**self.alteration.model_dump(), "levels": self.levels}


def alterations() -> list[Alteration]:
    """The alterations there are."""
    return [
        Alteration(
            name=name,
            family=each.family or "",
            summary=(each.alter.__doc__ or "").strip().splitlines()[0].rstrip(".:"),
            degrees=each.levels != ONCE,
        )
        for name, each in ALTERATIONS.items()
    ]


def altered(picture: Picture, name: str, severity: float, seed: int = 0) -> Picture:
    """The picture altered once, as `imparfait alter` would; raises UserError for a name that is not in the table."""
    lookup("alteration", name, ALTERATIONS)
    once: Picture = _at(picture, name, (severity,), seed)[0]
    return once


def altered_everyhow(picture: Picture) -> list[Row]:
    """The picture under every alteration: at severities 0 to 1 in steps of 0.1, or at 1 where it has no degrees."""
    rows = []
    for each in alterations():
        levels = LEVELS if each.degrees else ONCE
        rows.append(Row(each, levels, _at(picture, each.name, levels, 0)))
    return rows


def _at(picture: Picture, name: str, severities: tuple[float, ...], seed: int) -> Pixels:
    """The same numbers are drawn for each severity, so that only the severity differs."""
    n = len(severities)
    nothing = np.zeros(n, np.int64)
    copies = LabelledImages(np.repeat(picture[None], n, 0), nothing, nothing, ("",), "asked", "test")
    return altered_by(copies, name, ALTERATIONS[name], torch.tensor(severities, dtype=torch.float64), seed).pixels
