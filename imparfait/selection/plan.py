"""The plan of a comparison: its jobs, and their predicted duration."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from imparfait.core.errors import UserError
from imparfait.data.corrupted import CORE_SUITE
from imparfait.data.dataset import LabelledImages
from imparfait.data.group_splits import count_folds, count_groups
from imparfait.data.splits import fold, subsample
from imparfait.selection.candidates import Candidate
from imparfait.selection.jobs import Job
from imparfait.selection.profiling import TURNS, CandidateProfile, images_per_epoch, profile_candidates

PARALLEL_SLOWDOWN = 1.1  # parallel jobs share memory and caches: 1.04 to 1.09 times as long; results/executors

Slot = tuple[str, int, int]
"""Candidate, seed and fold of a job."""


class Reduction(BaseModel, frozen=True):
    """What a plan gave up to keep within its time: its seeds, epochs (per candidate) or images."""

    what: Literal["seeds", "epochs", "images"]
    wanted: tuple[int, ...]
    planned: tuple[int, ...]


class Plan(BaseModel, frozen=True):
    """Which candidates are trained and evaluated on which folds of which random splits."""

    data: str
    """sha256 of all training images."""
    sources: int
    """How many of them are used."""
    images: int | None
    """The same as requested; None for all."""
    groups: str = ""
    """sha256 of the groups of all training images; empty without groups."""
    leave_one_group_out: bool = False
    """Whether each fold is one group, so that all seeds have the same folds."""
    profiles: tuple[CandidateProfile, ...]
    folds: int
    seeds: int
    workers: int
    """Jobs at once."""
    corruptions: tuple[tuple[str, float], ...] = CORE_SUITE
    """Corruptions and severities that each fold is evaluated under."""
    reductions: tuple[Reduction, ...] = ()
    """What was given up to keep within the time."""

    @property
    def held_out(self) -> int:
        """Images in a fold."""
        return self.sources // self.folds

    @property
    def fit(self) -> int:
        """Images that a job trains on."""
        return self.sources - self.held_out

    @property
    def test_share(self) -> float:
        """Held-out images over training images."""
        return self.held_out / self.fit

    def profile(self, name: str) -> CandidateProfile:
        """The candidate called `name`."""
        return next(profile for profile in self.profiles if profile.name == name)

    def job(self, name: str, seed: int, number: int) -> Job:
        """The job of a candidate on one fold: repetition `seed` has its own split and its own random streams."""
        profile = self.profile(name)
        return Job(
            data=self.data,
            settings=profile.settings.model_copy(update={"seed": profile.settings.seed + seed}),
            network=profile.network,
            compute=profile.compute,
            partition=seed,
            folds=self.folds,
            fold=number,
            images=self.images,
            groups=self.groups,
            corruptions=self.corruptions,
        )

    def job_seconds(self, name: str) -> float:
        """Predicted duration of a candidate's job, alone."""
        return self.profile(name).job_seconds(self.fit, self.held_out, self.corruptions)

    def slots(self) -> list[Slot]:
        """Candidate, seed and fold of each job; the longest first, so that no core idles long at the end."""
        slots = [(p.name, s, f) for p in self.profiles for s in range(self.seeds) for f in range(self.folds)]
        return sorted(slots, key=lambda slot: -self.job_seconds(slot[0]))

    @property
    def seconds(self) -> float:
        """Predicted duration of all jobs."""
        one_fold = sum(self.job_seconds(profile.name) for profile in self.profiles)
        return parallel_seconds(self.seeds * self.folds * one_fold, self.workers)


def make_plan(
    candidates: Sequence[Candidate],
    data: LabelledImages,
    *,
    folds: int | Literal["groups"] = 5,
    seeds: int = 3,
    epochs: int | None = None,
    seconds: float | None = None,
    images: int | None = None,
    minutes: float | None = None,
    threads: int = 1,
    workers: int = 1,
    corruptions: Sequence[tuple[str, float]] = CORE_SUITE,
    turns: int = TURNS,
) -> Plan:
    """Plan the comparison of `candidates` on `data`, of which `images` are used, evaluated under `corruptions`.

    All train for `epochs`, or for the fewest that any of them has; with `seconds`, each for the whole number of epochs
    that comes closest to that time, alone. With "groups" as `folds`, each group is a fold. `minutes` limits the total:
    first fewer seeds (down to two), then fewer epochs, then fewer images. Raises UserError when a class has fewer
    images than `folds`, or `minutes` is too short.
    """
    part = subsample(data, images)
    folds = count_folds(part, folds)
    fold(part, folds, 0, 0)  # raises where a class is too small, before anything is measured
    profiles = profile_candidates(candidates, part, threads, turns)
    if seconds:
        fit = len(part) * (folds - 1) // folds
        passes = [max(1, round(seconds * p.train_throughput / images_per_epoch(p.settings, fit))) for p in profiles]
    else:
        passes = [epochs or min(profile.settings.epochs for profile in profiles)] * len(profiles)
    plan = Plan(
        data=data.fingerprint(),
        sources=len(part),
        images=images,
        groups=data.grouping(),
        leave_one_group_out=folds == count_groups(part),
        profiles=tuple(_with_epochs(profile, n) for profile, n in zip(profiles, passes, strict=True)),
        folds=folds,
        seeds=seeds,
        workers=workers,
        corruptions=tuple(corruptions),
    )
    if not minutes:
        return plan
    reduced = reduce_plan(plan, 60 * minutes)
    fold(subsample(data, reduced.images), folds, 0, 0)
    return reduced


def parallel_seconds(seconds: float, workers: int) -> float:
    """Predicted duration of jobs in parallel that take `seconds` one after the other."""
    return seconds * (PARALLEL_SLOWDOWN if workers > 1 else 1) / workers


def reduce_plan(plan: Plan, seconds: float) -> Plan:
    """The plan that gives up least and takes at most `seconds`; raises UserError when no plan is short enough."""
    reduced, reductions = plan, []
    if reduced.seconds > seconds and reduced.seeds > 2:
        seeds = max(2, int(reduced.seeds * seconds / reduced.seconds))
        reductions.append(Reduction(what="seeds", wanted=(reduced.seeds,), planned=(seeds,)))
        reduced = reduced.model_copy(update={"seeds": seeds})
    if reduced.seconds > seconds and (most := max(_epochs(reduced))) > 1:
        epochs = next((each for each in range(most - 1, 0, -1) if _shorter(reduced, each).seconds <= seconds), 1)
        shorter = _shorter(reduced, epochs)
        reductions.append(Reduction(what="epochs", wanted=_epochs(reduced), planned=_epochs(shorter)))
        reduced = shorter
    if reduced.seconds > seconds:
        sources = int(reduced.sources * 0.97 * seconds / reduced.seconds)
        least = 10 * reduced.folds
        if sources < least:
            smallest = reduced.model_copy(update={"sources": least, "images": least})
            raise UserError(
                f"--minutes {seconds / 60:g}",
                expected=f"at least {smallest.seconds / 60:.2g}, which the smallest plan takes",
                hint="write more minutes, fewer --folds or fewer candidates",
            )
        reductions.append(Reduction(what="images", wanted=(reduced.sources,), planned=(sources,)))
        reduced = reduced.model_copy(update={"sources": sources, "images": sources})
    return reduced.model_copy(update={"reductions": tuple(reductions)})


def _shorter(plan: Plan, epochs: int) -> Plan:
    """The plan with at most `epochs` for each candidate, in the proportion they had."""
    most = max(_epochs(plan))
    profiles = [_with_epochs(p, max(1, p.settings.epochs * epochs // most)) for p in plan.profiles]
    return plan.model_copy(update={"profiles": tuple(profiles)})


def _epochs(plan: Plan) -> tuple[int, ...]:
    return tuple(profile.settings.epochs for profile in plan.profiles)


def _with_epochs(profile: CandidateProfile, epochs: int) -> CandidateProfile:
    return profile.model_copy(update={"settings": profile.settings.model_copy(update={"epochs": epochs})})
