"""A comparison before it is run: its jobs, and how long they will take."""

from collections.abc import Sequence

from pydantic import BaseModel

from imparfait.core.errors import UserError
from imparfait.data.corrupted import CORE_SUITE
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import fold, subsample
from imparfait.selection.candidates import Candidate
from imparfait.selection.jobs import Job
from imparfait.selection.profiling import TURNS, CandidateProfile, measured, shown_an_epoch

CROWDED = 1.1  # jobs side by side share memory and caches: 1.04 to 1.09 times as long, results/2026-11-24-executors


class Plan(BaseModel, frozen=True):
    """Which contenders are trained and judged on which folds of which partitions."""

    data: str
    """sha256 of all training images."""
    sources: int
    """How many of them are used."""
    images: int | None
    entries: tuple[CandidateProfile, ...]
    folds: int
    seeds: int
    at_once: int
    corruptions: tuple[tuple[str, float], ...] = CORE_SUITE
    """What each fold is judged on: corruptions with their severities."""
    lost: tuple[str, ...] = ()
    """What was given up to keep within the time."""

    @property
    def held_out(self) -> int:
        """Images in a fold."""
        return self.sources // self.folds

    @property
    def fit(self) -> int:
        """Images to fit on."""
        return self.sources - self.held_out

    def job(self, entry: CandidateProfile, seed: int, number: int) -> Job:
        """One training of `entry`: repetition `seed` has its own partition and its own random streams."""
        return Job(
            data=self.data,
            settings=entry.settings.model_copy(update={"seed": entry.settings.seed + seed}),
            network=entry.network,
            compute=entry.compute,
            partition=seed,
            folds=self.folds,
            fold=number,
            images=self.images,
            corruptions=self.corruptions,
        )

    def job_seconds(self, entry: CandidateProfile) -> float:
        """What a job of `entry` takes, alone."""
        return entry.job_seconds(self.fit, self.held_out, self.corruptions)

    def places(self) -> list[tuple[CandidateProfile, int, int]]:
        """Entry, seed and fold of each job; the longest first, so that no core waits long at the end."""
        places = [(e, s, f) for e in self.entries for s in range(self.seeds) for f in range(self.folds)]
        return sorted(places, key=lambda place: -self.job_seconds(place[0]))

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        each = sum(map(self.job_seconds, self.entries))
        return crowded(self.seeds * self.folds * each, self.at_once)

    def __str__(self) -> str:
        """Jobs × measured seconds, a line an entry."""
        n = self.seeds * self.folds
        lines = [
            f"{entry.name}: {n} jobs × {self.job_seconds(entry):.1f} s "
            f"({entry.settings.epochs} epoch{'s' * (entry.settings.epochs > 1)}, {self.fit:,} images, "
            f"{entry.learns:,.0f} images/s alone)"
            for entry in self.entries
        ]
        return "\n".join([*lines, f"{len(self.entries) * n} jobs, {self.at_once} at once: about {told(self.seconds)}"])


def plan(
    candidates: Sequence[Candidate],
    data: LabelledImages,
    *,
    folds: int = 5,
    seeds: int = 3,
    epochs: int | None = None,
    seconds: float | None = None,
    images: int | None = None,
    minutes: float | None = None,
    threads: int = 1,
    at_once: int = 1,
    corruptions: Sequence[tuple[str, float]] = CORE_SUITE,
    turns: int = TURNS,
) -> Plan:
    """The comparison of `contenders` on `data`, of which `images` are used, judged on `corruptions`.

    All train for `epochs`, or for the fewest that any of them has of its own; with `seconds`, for as many whole epochs
    as come nearest to these, alone. `minutes` is what it may take: fewer seeds (but two), then fewer epochs, then fewer
    images. Raises UserError when a class is smaller than `folds`, and when `minutes` are not enough for anything.
    """
    part = subsample(data, images)
    fold(part, folds, 0, 0)  # a class that is too small is told before anything is measured
    entries = measured(candidates, part, threads, turns)
    if seconds:
        fit = len(part) * (folds - 1) // folds
        passes = [max(1, round(seconds * e.learns / shown_an_epoch(e.settings, fit))) for e in entries]
    else:
        passes = [epochs or min(entry.settings.epochs for entry in entries)] * len(entries)
    entries = [_for_epochs(entry, n) for entry, n in zip(entries, passes, strict=True)]
    wished = Plan(
        data=data.fingerprint(),
        sources=len(part),
        images=images,
        entries=tuple(entries),
        folds=folds,
        seeds=seeds,
        at_once=at_once,
        corruptions=tuple(corruptions),
    )
    if not minutes:
        return wished
    shrunk = _within(wished, 60 * minutes)
    fold(subsample(data, shrunk.images), folds, 0, 0)
    return shrunk


def crowded(seconds: float, at_once: int) -> float:
    """What jobs that take so many seconds alone take side by side."""
    return seconds * (CROWDED if at_once > 1 else 1) / at_once


def told(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _within(wished: Plan, seconds: float) -> Plan:
    """The plan that loses least of the one wished for and takes no longer than `seconds`."""
    found, lost = wished, []
    if found.seconds > seconds and found.seeds > 2:
        seeds = max(2, int(found.seeds * seconds / found.seconds))
        lost.append(f"{seeds} seeds instead of {found.seeds}: a smaller difference would not show")
        found = found.model_copy(update={"seeds": seeds})
    if found.seconds > seconds and (most := max(entry.settings.epochs for entry in found.entries)) > 1:
        share = next((e for e in range(most - 1, 0, -1) if _shorter(found, e).seconds <= seconds), 1) / most
        shorter = _shorter(found, round(share * most))
        lost.append(f"{_epochs_of(shorter)} instead of {_epochs_of(found)}: judged is what they are by then")
        found = shorter
    if found.seconds > seconds:
        sources = int(found.sources * 0.97 * seconds / found.seconds)
        least = 10 * found.folds
        if sources < least:
            shortest = found.model_copy(update={"sources": least, "images": least})
            raise UserError(
                f"--minutes {seconds / 60:g} is too short even for the least plan, which takes about "
                f"{told(shortest.seconds)}; write more minutes, fewer --folds or fewer contenders"
            )
        lost.append(f"{sources:,} images instead of {found.sources:,}: all of them are worse than they would be")
        found = found.model_copy(update={"sources": sources, "images": sources})
    return found.model_copy(update={"lost": tuple(lost)})


def _shorter(wished: Plan, epochs: int) -> Plan:
    """Each contender for at most so many epochs, in the proportion they had."""
    most = max(entry.settings.epochs for entry in wished.entries)
    entries = [_for_epochs(e, max(1, e.settings.epochs * epochs // most)) for e in wished.entries]
    return wished.model_copy(update={"entries": tuple(entries)})


def _epochs_of(found: Plan) -> str:
    numbers = [entry.settings.epochs for entry in found.entries]
    alike = len(set(numbers)) == 1
    return f"{numbers[0] if alike else ', '.join(map(str, numbers))} epoch{'s' * (numbers != [1] * len(numbers))}"


def _for_epochs(entry: CandidateProfile, epochs: int) -> CandidateProfile:
    return entry.model_copy(update={"settings": entry.settings.model_copy(update={"epochs": epochs})})
