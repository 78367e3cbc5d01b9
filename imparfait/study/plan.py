"""The plan of the study: its stages, and their predicted duration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel

from imparfait.core.storage import fingerprint
from imparfait.data.dataset import LabelledImages
from imparfait.selection.candidates import Candidate, candidate_named
from imparfait.selection.plan import Plan, make_plan, parallel_seconds
from imparfait.selection.profiling import CandidateProfile
from imparfait.selection.search import jobs_of_search
from imparfait.study.scales import ABLATIONS, PAIR, Scale

METHODS = ("random", "bayes")
CONFIRMATION_SEEDS = 1  # splits, each with all its folds, on which a winner's accuracy is measured

StageKind = Literal["search", "cross-validation", "ablation", "final"]


@dataclass(frozen=True)
class Stage:
    """A part of the study that can run in a session of its own."""

    kind: StageKind
    network: str
    jobs: int
    seconds: float

    @property
    def name(self) -> str:
        """Its name on the command line."""
        return f"{self.kind} {self.network}"


def stage_names(scale: Scale) -> list[str]:
    """The names of all stages, in order, before anything is measured."""
    networks: dict[StageKind, Sequence[str]] = {
        "search": PAIR,
        "cross-validation": PAIR,
        "ablation": list(ABLATIONS),
        "final": list(scale.finals()),
    }
    return [f"{kind} {name}" for kind, names in networks.items() for name in names]


class StudyPlan(BaseModel, frozen=True):
    """What is compared, and the throughput of each network on this machine."""

    mark: str
    """`mark_of` the scale and data it was made for."""
    pair: Plan
    ablations: Plan
    """Every network, the pair included, with one seed."""
    searched: tuple[CandidateProfile, ...]
    """The pair's networks with the settings that the searches start from."""
    finals: tuple[CandidateProfile, ...]
    """The networks of the final trainings."""

    def stages(self, scale: Scale, fit: int) -> list[Stage]:
        """All stages in order; a final network trains on `fit` images."""
        workers, pair, ablations = self.pair.workers, self.pair, self.ablations
        jobs = jobs_of_search(len(METHODS), scale.trials, scale.search_folds, CONFIRMATION_SEEDS)
        held_out = scale.search_images // scale.search_folds
        stages = [
            Stage(
                "search",
                profile.name,
                jobs,
                parallel_seconds(jobs * profile.job_seconds(scale.search_images - held_out, held_out), workers),
            )
            for profile in self.searched
        ]
        for kind, plan, names in (("cross-validation", pair, PAIR), ("ablation", ablations, ABLATIONS)):
            n = plan.folds * plan.seeds
            for name in names:
                seconds = parallel_seconds(n * plan.job_seconds(name), workers)
                stages.append(Stage(kind, name, n, seconds))  # type: ignore[arg-type]
        return stages + [Stage("final", p.name, 1, p.training_seconds(fit)) for p in self.finals]

    def seconds(self, stages: Sequence[Stage]) -> float:
        """Predicted duration of all stages; the final networks are trained in parallel."""
        finals = [stage.seconds for stage in stages if stage.kind == "final"]
        others = sum(stage.seconds for stage in stages if stage.kind != "final")
        return others + max(*finals, parallel_seconds(sum(finals), self.pair.workers))


def study_plan(scale: Scale, data: LabelledImages, workers: int) -> StudyPlan:
    """Plan the study on `data`, with jobs of one thread; measures the throughput of each network."""
    candidates = [_at(scale, candidate_named(name)) for name in (*PAIR, *ABLATIONS)]
    ablations = make_plan(
        candidates,
        data,
        folds=scale.folds,
        seeds=1,
        epochs=scale.epochs,
        images=scale.images,
        workers=workers,
        turns=scale.turns,
    )
    pair = ablations.model_copy(update={"profiles": ablations.profiles[: len(PAIR)], "seeds": scale.seeds})
    searched = tuple(_with(profile, {"epochs": scale.search_epochs}) for profile in pair.profiles)
    finals = tuple(
        pair.profile(settings.model).model_copy(update={"name": name, "settings": settings})
        for name, (_, settings) in scale.finals().items()
    )
    return StudyPlan(mark=mark_of(scale, data), pair=pair, ablations=ablations, searched=searched, finals=finals)


def mark_of(scale: Scale, data: LabelledImages) -> str:
    """sha256 over everything a plan depends on: scale, recipes and data."""
    compared = [_at(scale, candidate_named(name)).settings for name in (*PAIR, *ABLATIONS)]
    trained = [settings for _, settings in scale.finals().values()]
    return fingerprint(repr(scale), data.fingerprint(), *compared, *trained)


def _at(scale: Scale, candidate: Candidate) -> Candidate:
    return replace(candidate, settings=candidate.settings.model_copy(update=dict(scale.instead)))


def _with(profile: CandidateProfile, changes: dict[str, int]) -> CandidateProfile:
    return profile.model_copy(update={"settings": profile.settings.model_copy(update=changes)})
