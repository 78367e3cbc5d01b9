"""The study before it is run: its stages, and how long each will take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel

from imparfait.core.storage import fingerprint
from imparfait.data.dataset import LabelledImages
from imparfait.selection.candidates import Candidate, candidate_named
from imparfait.selection.plan import Plan, crowded, plan
from imparfait.selection.profiling import CandidateProfile
from imparfait.selection.search import FOLDS, LEADERS
from imparfait.study.scales import ABLATIONS, PAIR, Scale
from imparfait.training.settings import TrainingSettings

METHODS = ("random", "bayes")
CONFIRMED = 1  # seeds, each with all its folds, of a winner's own accuracy


@dataclass(frozen=True)
class Stage:
    """A part of the study that can be a sitting of its own."""

    name: str
    jobs: int
    seconds: float


class StudyPlan(BaseModel, frozen=True):
    """What is compared, and what each network can do on this machine when it has it to itself."""

    mark: str
    """Of what it was made for."""
    pair: Plan
    ablations: Plan
    searched: tuple[CandidateProfile, ...]
    """The annexes' networks as a trial of a search has them."""
    finals: tuple[CandidateProfile, ...]
    """The networks trained at length."""

    @property
    def ablated(self) -> list[CandidateProfile]:
        """The networks that leave something out; the whole ones' jobs are among the pair's."""
        return [entry for entry in self.ablations.entries if entry.name in ABLATIONS]

    def jobs_of_search(self, scale: Scale) -> int:
        """Trials, the leading ones on further folds, and the winners and their start where no trial was."""
        further = min(LEADERS, scale.trials) * (min(FOLDS, scale.searched_folds) - 1)
        confirmed = CONFIRMED * scale.searched_folds
        return len(METHODS) * (scale.trials + further + confirmed) + confirmed

    def stages(self, scale: Scale, fitted_on: int) -> list[Stage]:
        """One after the other; a final network is fitted on so many images."""
        at_once = self.pair.at_once
        stages = []
        for entry in self.searched:
            jobs = self.jobs_of_search(scale)
            kept_out = scale.searched_pictures // scale.searched_folds
            each = entry.job_seconds(scale.searched_pictures - kept_out, kept_out)
            stages.append(Stage(f"search for {entry.name}", jobs, crowded(jobs * each, at_once)))
        for entry in self.pair.entries:
            jobs = self.pair.folds * self.pair.seeds
            seconds = crowded(jobs * self.pair.job_seconds(entry), at_once)
            stages.append(Stage(f"cross-validation of {entry.name}", jobs, seconds))
        for entry in self.ablated:
            seconds = crowded(self.ablations.folds * self.ablations.job_seconds(entry), at_once)
            stages.append(Stage(f"ablation {entry.name}", self.ablations.folds, seconds))
        for entry in self.finals:
            stages.append(Stage(f"final {entry.name}", 1, entry.training_seconds(fitted_on)))
        return stages

    def seconds(self, stages: Sequence[Stage]) -> float:
        """About how long all of them take: the final networks are trained side by side too."""
        finals = stages[-len(self.finals) :]
        longest = max(stage.seconds for stage in finals)
        together = max(longest, crowded(sum(stage.seconds for stage in finals), self.pair.at_once))
        return sum(stage.seconds for stage in stages[: -len(self.finals)]) + together


def study_plan(scale: Scale, data: LabelledImages, at_once: int) -> StudyPlan:
    """The study at this scale on `data`, with jobs of one thread; what each network can do is measured here."""
    candidates = [_at(scale, candidate_named(name)) for name in (*PAIR, *ABLATIONS)]
    ablations = plan(
        candidates,
        data,
        folds=scale.folds,
        seeds=1,
        epochs=scale.epochs,
        images=scale.images,
        at_once=at_once,
        turns=scale.turns,
    )
    pair = ablations.model_copy(update={"entries": ablations.entries[: len(PAIR)], "seeds": scale.seeds})
    searched = tuple(
        entry.model_copy(update={"settings": searched_from(entry.settings, scale)}) for entry in pair.entries
    )
    of_model = {entry.name: entry for entry in pair.entries}
    finals = tuple(
        of_model[settings.model].model_copy(update={"name": name, "settings": settings})
        for name, (_, settings) in scale.finals().items()
    )
    return StudyPlan(mark=mark_of(scale, data), pair=pair, ablations=ablations, searched=searched, finals=finals)


def mark_of(scale: Scale, data: LabelledImages) -> str:
    """A sha256 over all that a plan is of: with another scale, recipe or data it is another plan."""
    compared = [_at(scale, candidate_named(name)).settings for name in (*PAIR, *ABLATIONS)]
    trained = [settings for _, settings in scale.finals().values()]
    return fingerprint(repr(scale), data.fingerprint(), *compared, *trained)


def _at(scale: Scale, each: Candidate) -> Candidate:
    return replace(each, settings=each.settings.model_copy(update=dict(scale.instead)))


def searched_from(settings: TrainingSettings, scale: Scale) -> TrainingSettings:
    """What a search starts from: the annex's settings, for few epochs."""
    return settings.model_copy(update={"epochs": scale.searched_epochs})
