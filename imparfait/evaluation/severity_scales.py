"""Severity scales of a user's data: how strong each corruption may be until a model loses a set share of accuracy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

from imparfait.core.errors import UserError
from imparfait.core.storage import printable, read_regular
from imparfait.corruptions import ALL_CORRUPTIONS
from imparfait.evaluation.scores import Score
from imparfait.evaluation.suite import CLEAN, Condition

KEPT = 0.97
"""Of the clean accuracy, at severity 1. The published scale of digits leaves 97 % correct; clean are 99.5 %."""
HALVINGS = 6  # of the range of severities: the scale is found to 1/64
MAX_BYTES = 1_000_000
MAX_NAME = 100

Outcome = Literal["found", "stays above", "falls below at once"]
Share = Annotated[float, Field(gt=0, le=1)]


class SeverityScale(BaseModel, frozen=True, extra="forbid"):
    """The published severity of one corruption that is severity 1 on some data, and what the model does there."""

    corruption: str
    scale: Annotated[float, Field(ge=2**-HALVINGS, le=1)]
    accuracy: float
    outcome: Outcome
    """ "stays above": the model keeps its accuracy up to the published severity 1, which is then the scale; "falls
    below at once": not even 1/64 of it leaves the accuracy, and that is the scale."""


class SeverityFile(BaseModel, frozen=True, extra="forbid"):
    """The file of `calibrate-severity`, which `evaluate --severities` reads."""

    format: Literal["imparfait-severities-1"] = "imparfait-severities-1"
    model: str
    data: str
    images: int
    kept: Share
    clean: float
    scales: list[SeverityScale]

    def scaled(self, conditions: Sequence[Condition]) -> list[Condition]:
        """These conditions with the levels of each corruption multiplied by its scale; clean and others as they are.

        Severities that were added for published parameters alone are left out. Raises UserError where none is scaled.
        """
        scales = {each.corruption: each.scale for each in self.scales}
        scaled: dict[tuple[str, float], Condition] = {}
        for each in conditions:
            known, scale = ALL_CORRUPTIONS.get(each.corruption), scales.get(each.corruption)
            severity = each.severity
            if known and scale:
                if severity not in known.levels:
                    continue
                severity = round(severity * scale, 4)
            scaled[each.corruption, severity] = Condition(each.corruption, severity, each.family, each.function)
        if not {name for name, _ in scaled} & set(scales):
            raise UserError(
                "no corruption of the suite is in the file of severities",
                expected="scales for this suite",
                hint="give --suite digits or photo, the one of calibrate-severity",
            )
        return list(scaled.values())


def severity_scales(
    score: Callable[[Condition], Score], conditions: Sequence[Condition], clean: float, kept: float = KEPT
) -> Iterator[SeverityScale]:
    """The scale of each corruption in `conditions` that has degrees, one after the other.

    It is the largest severity, to 1/64 of the published one, at which `score` still finds `kept` (0..1) of the `clean`
    accuracy, by halving: seven scores a corruption, fewer where the model stays above. Where more severity once costs
    less, one of the crossings is found.
    """
    for first in _with_degrees(conditions).values():

        def accuracy(severity: float, first: Condition = first) -> float:
            return score(Condition(first.corruption, severity, first.family, first.function)).accuracy

        low, high = 0.0, 1.0
        at_low, at_high = clean, accuracy(high)
        if at_high >= kept * clean:
            yield SeverityScale(corruption=first.corruption, scale=1.0, accuracy=at_high, outcome="stays above")
            continue
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            found = accuracy(middle)
            if found >= kept * clean:
                low, at_low = middle, found
            else:
                high, at_high = middle, found
        scale, at = (low, at_low) if low else (high, at_high)
        outcome: Outcome = "found" if low else "falls below at once"
        yield SeverityScale(corruption=first.corruption, scale=scale, accuracy=at, outcome=outcome)


def count_scales(conditions: Sequence[Condition]) -> int:
    """How many corruptions have degrees."""
    return len(_with_degrees(conditions))


def _with_degrees(conditions: Sequence[Condition]) -> Mapping[str, Condition]:
    found: dict[str, Condition] = {}
    for each in conditions:
        known = ALL_CORRUPTIONS.get(each.corruption)
        if each.corruption != CLEAN and known and len(known.levels) > 1:
            found.setdefault(each.corruption, each)
    return found


def read_severities(path: Path) -> SeverityFile:
    """The file that `calibrate-severity` wrote; raises UserError for another one."""
    try:
        found = SeverityFile.model_validate_json(read_regular(path, MAX_BYTES))
    except ValidationError as error:
        raise UserError(
            f"{path}: is no file of severities", expected="one that imparfait calibrate-severity wrote"
        ) from error
    for each in found.scales:
        if each.corruption not in ALL_CORRUPTIONS:
            name = printable(each.corruption[:MAX_NAME])
            raise UserError(f"{path}: no corruption is called {name!r}", hint="calibrate again")
    if len({each.corruption for each in found.scales}) < len(found.scales):
        raise UserError(f"{path}: a corruption has two scales", hint="calibrate again")
    return found
