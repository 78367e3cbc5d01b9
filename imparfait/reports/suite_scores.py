"""Scores of a model on the images that an evaluation may use: which ones, on which suite, with which access."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imparfait.core.errors import UserError
from imparfait.core.storage import printable
from imparfait.core.types import Watch
from imparfait.data.corrupted import CLEAN_SUITE
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import Dataset, plainly
from imparfait.data.sealed_test import TestAccess
from imparfait.data.splits import sample as draw
from imparfait.evaluation.evaluate import Suite
from imparfait.evaluation.kept_scores import score_on_test
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import Scores
from imparfait.evaluation.severity_scales import SeverityFile
from imparfait.evaluation.suite import SAMPLES, Condition, conditions_for, default_suite
from imparfait.inference.open_model import LoadedModel
from imparfait.inference.suite_run import run_suite
from imparfait.reports.text import suite_summary
from imparfait.selection.executors import Executor
from imparfait.training.recipes import suite_for
from imparfait.training.seen_images import check_split

EvaluatedSplit = Literal["validation", "test", "all"]
Sample = int | Literal["all"] | None
"""About how many images, all of them, or as many as is usual for the suite."""


@dataclass(frozen=True, eq=False)
class DrawnImages:
    """Images to evaluate on, drawn from as many as `total`; all of them where there are no more."""

    images: LabelledImages
    total: int

    @property
    def is_sample(self) -> bool:
        """Whether some images are left out."""
        return len(self.images) < self.total

    def count(self, used: LabelledImages) -> str:
        """How many images are used, in words; `used` are these, or those of an access to the test set."""
        return f"{len(used):,} of {self.total:,}" if self.is_sample else f"{len(used):,}"

    @property
    def by_class(self) -> str:
        """How a sample was drawn, in words; empty for all images."""
        return ", drawn by class" if self.is_sample else ""


def sampled(
    images: LabelledImages, dataset: Dataset, split: EvaluatedSplit, sample: Sample, suite: Suite
) -> DrawnImages:
    """The images of an evaluation: by class, always the same ones; by default all, or at most SAMPLES of a suite's.

    Raises UserError for a sample of test images: an access in the ledger is to all of them.
    """
    if split == "test" or (split == "all" and dataset.sealed):
        if isinstance(sample, int):
            raise UserError(
                f"a sample of {sample} for test images",
                expected="all of them, to which an access in the ledger is",
                hint="leave out --sample",
            )
        return DrawnImages(images, len(images))
    if sample is None and isinstance(suite, str):
        sample = SAMPLES.get(suite)
    return DrawnImages(draw(images, sample) if isinstance(sample, int) else images, len(images))


def conditions_of(suite: Suite, images: LabelledImages, severities: SeverityFile | None) -> Sequence[Condition]:
    """The conditions of a suite, at the published severities or at those of a file; raises UserError."""
    if severities and suite == "core":
        raise UserError("severities of your own for the suite core", expected="the suite digits or photo")
    conditions = conditions_for(suite, images)
    return severities.scaled(conditions) if severities else conditions


def severities_sentence(file: SeverityFile) -> str:
    """Whose severities are used, instead of the published ones."""
    return (
        f"severities of {printable(file.model)} on {file.images:,} validation images of {printable(file.data)}, "
        f"which keeps {100 * file.kept:g} % of its clean accuracy at severity 1"
    )


def scores_on(
    model: LoadedModel,
    images: LabelledImages,
    dataset: Dataset,
    split: EvaluatedSplit,
    conditions: Sequence[Condition],
    out: Path,
    *,
    key: str | None = None,
    executor: Executor | None = None,
    threads: int = 1,
    store: Path | None = None,
    watch: Callable[[str], Watch] = lambda title: plainly,
    say: Callable[[str], object] = str,
) -> tuple[Scores, LabelledImages, TestAccess | None]:
    """The scores of a model on `images` or on the test images; those used, and the access to test images, if any.

    The ledger of `out`, or of the model's runs, records it before it happens. Finished conditions are kept in `store`.
    With an `executor` the jobs are on `threads` threads each, else in this process.
    """

    def score(images: LabelledImages) -> Scores:
        return run_suite(
            model, images, conditions, executor=executor, threads=threads, store=store, watch=watch(model.name), say=say
        )

    if split == "validation" or (split == "all" and dataset.sealed is None):
        return score(images), images, None
    path = model.source.path if model.source else None
    scores, access = score_on_test(
        score, dataset.test, out, model.settings_hash, key, lambda found: suite_summary(SuiteResult(found)), path
    )
    return scores, access.images, access


def images_of(models: Sequence[LoadedModel], dataset: Dataset, split: EvaluatedSplit) -> LabelledImages:
    """The validation images, or all; raises UserError for a run that was, or may have been, trained on some of them."""
    if split == "all":
        for model in models:
            if model.manifest:
                raise UserError(
                    f"{model.name}: a run of imparfait, perhaps trained on some of all images",
                    expected="a model that was trained on none of them",
                    hint="leave out --split all",
                )
        return dataset.train
    if split == "validation":
        for model in models:
            check_unseen(model, dataset)
    return dataset.train_val()[1]


def check_unseen(model: LoadedModel, dataset: Dataset) -> None:
    """Raises UserError where a run was trained on validation images, or may have been with other groups."""
    if model.manifest and model.manifest.final:
        raise UserError(
            f"{model.name}: was trained on the validation images too",
            expected="a model trained without --final",
            hint="train one, or evaluate it on the test set once: --split test",
        )
    if model.manifest:
        check_split(model.name, model.manifest, dataset)


def suite_of(models: Sequence[LoadedModel], dataset: Dataset) -> str:
    """The suite for these models when none is given: "photo" for models of photographs, "core" for those of digits.

    Runs say which they are; of other models the data decides.
    """
    settings = [model.manifest.settings for model in models if model.manifest]
    if len(settings) == len(models):
        return "photo" if any(suite_for(each) == CLEAN_SUITE for each in settings) else "core"
    return default_suite(dataset.train)
