"""Bounds on a model's accuracy, broken only beyond chance: drops against a baseline, and least accuracies."""

import base64
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int64
from pydantic import BaseModel, ValidationError
from scipy.special import bdtr, stdtr, stdtrit

from imparfait.core.counts import counted
from imparfait.core.errors import UserError, lookup
from imparfait.core.storage import atomic_write
from imparfait.core.types import Groups
from imparfait.corruptions import ALL_CORRUPTIONS, PHOTO
from imparfait.evaluation.intervals import mean_error
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.statistics import SIGNIFICANCE_LEVEL, holm
from imparfait.evaluation.suite import CLEAN, Condition

MEAN = "mean"
STEPS = 255  # in which a share of correct copies is stored
GROUP = np.dtype("<u4")  # of which a group's number is stored
ROUNDING = 1e-9
MAX_BYTES = 1 << 28  # of a baseline file

Outcome = Literal["ok", "within noise", "broken"]
"""`within noise`: beyond the bound on these images, but by no more than chance would give."""


class Baseline(BaseModel, frozen=True, extra="forbid"):
    """The accuracy of a model, image by image, for later comparisons."""

    format: Literal[1] = 1
    model: str
    data: str
    """sha256 of the images."""
    images: int
    severities: str = ""
    """sha256 of the user's own severities; empty for the published ones."""
    suite: str = ""
    """Its name; empty in files of earlier versions."""
    correct: dict[str, str]
    """By corruption, "clean" and "mean": the share of correct copies of each image in 255ths, as bytes, deflated and in
    base 64."""
    groups: str = ""
    """The group of each image as 32-bit numbers, packed likewise; empty without groups, and in earlier files."""
    accuracies: dict[str, float] = {}
    """The mean of each of these before it was rounded; empty in files of earlier versions."""

    def accuracy(self, name: str) -> float:
        """The accuracy, 0..1."""
        return self.accuracies.get(name, float(self.shares(name).mean()))

    def shares(self, name: str) -> Float[np.ndarray, " images"]:
        """The share of correct copies of each image, 0..1; raises UserError where it is damaged."""
        return np.frombuffer(self._unpacked(name, self.correct[name], 1), np.uint8) / STEPS

    def members(self) -> Int64[np.ndarray, " images"] | None:
        """The number of each image's group, None without groups; raises UserError where it is damaged."""
        if not self.groups:
            return None
        return np.frombuffer(self._unpacked("groups", self.groups, GROUP.itemsize), GROUP).astype(np.int64)

    def _unpacked(self, name: str, packed: str, size: int) -> bytes:
        try:
            content = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), self.images * size)
        except (ValueError, zlib.error) as error:
            raise UserError(f"the baseline's {name} is damaged: {error}", hint="write it again with --save") from error
        if len(content) != self.images * size:
            raise UserError(
                f"the baseline's {name} is damaged: {counted(len(content) // size, 'image')}",
                hint="write it again with --save",
            )
        return content


@dataclass(frozen=True)
class Finding:
    """One bound, and whether the model keeps it."""

    name: str
    """A corruption, "clean" or "mean"."""
    accuracy: float
    bound: float
    """The least accuracy that is allowed, 0..1."""
    outcome: Outcome
    p: float
    """One-sided, of an accuracy not under the bound; adjusted over all bounds (Holm)."""
    detectable: float
    """How far under the bound an accuracy would have been found broken, if it were the only bound."""
    before: float | None = None
    """The baseline's accuracy, for a bound on the drop."""


def shares_of(suite: SuiteResult) -> dict[str, Float[np.ndarray, " images"]]:
    """The share of correct copies of each image: clean, under each corruption, and in the mean of the suite."""
    found = {CLEAN: suite.clean.correct.astype(float)}
    found |= {name: suite.by_source(name) for name in suite.levels}
    return found | {MEAN: suite.by_source()}


def baseline_of(suite: SuiteResult, model: str, data: str, severities: str = "", suite_name: str = "") -> Baseline:
    """What `gate` compares later models with; `data` is the fingerprint of the images, `severities` of own ones."""
    shares = shares_of(suite)
    groups = suite.scores.groups
    return Baseline(
        model=model, data=data, images=len(shares[CLEAN]), severities=severities, suite=suite_name,
        correct={name: _packed(np.rint(each * STEPS).astype(np.uint8)) for name, each in shares.items()},
        groups="" if groups is None else _packed(np.unique(groups, return_inverse=True)[1].astype(GROUP)),
        accuracies={name: float(each.mean()) for name, each in shares.items()},
    )  # fmt: skip


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(values.tobytes())).decode()


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write it as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, (baseline.model_dump_json(indent=1) + "\n").encode())


def read_baseline(path: Path) -> Baseline:
    """A baseline that `--save` wrote. Raises UserError where there is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: has {path.stat().st_size:,} bytes", expected=f"at most {MAX_BYTES:,}")
        return Baseline.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}", expected="a baseline", hint=f"write one first: imparfait gate … --save {path}"
        ) from error
    except ValidationError as error:
        raise UserError(f"{path}: not a baseline", expected="a file that imparfait gate --save wrote") from error


def gate(
    suite: SuiteResult,
    data: str,
    *,
    baseline: Baseline | None = None,
    max_drop: float = 0.0,
    minimums: Mapping[str, float] | None = None,
    severities: str = "",
    level: float = SIGNIFICANCE_LEVEL,
) -> list[Finding]:
    """Whether a model keeps to its bounds: at most `max_drop` (0..1) under a baseline, and at least `minimums`.

    `suite` is of images whose fingerprint is `data`; keys of `minimums` are corruptions, "clean" or "mean", with or
    without the suite's name before a dot: "fog" of the suite photo is "photo.fog". A bound is broken where a one-sided
    test shows it at `level`, adjusted over all bounds: against a baseline on the same images a paired t test, on others
    Welch's; for a minimum the exact binomial test, or a t test over images that have several corrupted copies. Where
    the images are of several groups, all are t tests over groups: images of one group are alike. `severities` is the
    fingerprint of the user's own. Raises UserError for an unknown name, for a baseline at other severities, and where
    nothing is compared.
    """
    if baseline and baseline.severities != severities:
        own = "the published severities" if not baseline.severities else "severities of your own"
        raise UserError(
            f"a baseline at {own}, and a model at others",
            expected="the same severities",
            hint="give the --severities of the baseline, or write it again with --save",
        )
    now, groups = shares_of(suite), suite.scores.groups
    tests = [_minimum(_known(name, now), now, groups, least) for name, least in (minimums or {}).items()]
    if baseline:
        members = baseline.members()
        for name in [each for each in now if each in baseline.correct]:
            before = baseline.shares(name)
            if baseline.data == data and len(before) == len(now[name]):
                error, freedom = mean_error(now[name] - before, members if groups is None else groups)
            else:
                error, freedom = _welch(mean_error(now[name], groups), mean_error(before, members))
            accuracy = baseline.accuracy(name)
            bound = accuracy - max_drop
            p = _one_sided(float(now[name].mean()) - bound, error, freedom)
            tests.append(_Test(name, bound, accuracy, p, error, freedom))
    if not tests:
        raise UserError(
            "no bound was given",
            expected="a baseline with a condition of this suite, or a minimum",
            hint="write --against baseline.json or --min clean=0.9",
        )
    adjusted = holm([test.p for test in tests])
    return [_finding(test, float(now[test.name].mean()), p, level) for test, p in zip(tests, adjusted, strict=True)]


def check_conditions(minimums: Mapping[str, float], conditions: Iterable[Condition]) -> None:
    """Raises UserError for a minimum of a condition that is not among these, before anything is evaluated."""
    known = {CLEAN: None, MEAN: None} | {each.corruption: None for each in conditions}
    for name in minimums:
        _known(name, known)


def _known(name: str, known: Mapping[str, object]) -> str:
    """The key of `known` that a user means by a name; raises UserError where there is none."""
    short = [] if name in ALL_CORRUPTIONS else [name.rpartition(".")[2]]  # `photo.fog` is not the fog of digits
    found = next((each for each in (name, PHOTO + name, *short) if each in known), name)
    lookup("condition", found, known)
    return found


@dataclass(frozen=True)
class _Test:
    name: str
    bound: float
    before: float | None
    p: float
    error: float
    """The standard error of what is tested."""
    freedom: float


def _minimum(name: str, now: Mapping[str, Float[np.ndarray, " n"]], groups: Groups | None, least: float) -> _Test:
    shares = now[name]
    n, total = len(shares), float(shares.sum())
    if groups is None and np.isin(shares, (0.0, 1.0)).all():
        # The exact chance of so few correct images, or fewer, at the least accuracy that is allowed.
        return _Test(name, least, None, float(bdtr(round(total), n, least)), (least * (1 - least) / n) ** 0.5, n - 1)
    error, freedom = mean_error(shares, groups)
    return _Test(name, least, None, _one_sided(total / n - least, error, freedom), error, freedom)


def _welch(*parts: tuple[float, float]) -> tuple[float, float]:
    """The error of the difference of two independent means, from the error and degrees of freedom of each."""
    error = sum(each**2 for each, _ in parts) ** 0.5
    spread = sum(each**4 / freedom for each, freedom in parts)
    return error, error**4 / spread if spread else 1.0


def _one_sided(above: float, error: float, freedom: float) -> float:
    """The p value of a difference that is not under 0; without any spread 0 or 1."""
    if error == 0:
        return float(above >= -ROUNDING)
    return float(stdtr(freedom, above / error))


def _finding(test: _Test, accuracy: float, p: float, level: float) -> Finding:
    outcome: Outcome = "ok"
    if accuracy < test.bound - ROUNDING:
        outcome = "broken" if p <= level else "within noise"
    detectable = -float(stdtrit(test.freedom, level)) * test.error
    return Finding(test.name, accuracy, test.bound, outcome, p, detectable, test.before)
