"""Evaluation of models on the validation or test images, with the folder and report that it leaves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imparfait.core.counts import counted
from imparfait.core.errors import lookup
from imparfait.core.hardware import environment
from imparfait.core.names import as_file_name
from imparfait.core.storage import atomic_directory, fingerprint, write_json
from imparfait.core.types import Watch
from imparfait.data.augmentation import AUGMENTATIONS, describe_overlap
from imparfait.data.corrupted import CORE_SUITE
from imparfait.data.dataset import LabelledImages
from imparfait.data.label_errors import is_mnist_test, without_label_errors
from imparfait.data.load import Dataset, plainly
from imparfait.data.sealed_test import TestAccess
from imparfait.data.splits import shared_groups
from imparfait.evaluation.evaluate import Suite
from imparfait.evaluation.evaluation_file import EvaluationFile
from imparfait.evaluation.kept_scores import forget_scores
from imparfait.evaluation.model_comparison import Evaluation, ModelGroup, assess
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import Scores
from imparfait.evaluation.scores_file import ScoresFile, write_scores
from imparfait.evaluation.severity_scales import SeverityFile
from imparfait.evaluation.suite import SUITES, Condition, apply_conditions
from imparfait.inference.open_model import LoadedModel
from imparfait.inference.suite_run import unfinished
from imparfait.reports import robustness, run
from imparfait.reports.suite_scores import (
    DrawnImages,
    EvaluatedSplit,
    Sample,
    conditions_of,
    images_of,
    sampled,
    scores_on,
    severities_sentence,
)
from imparfait.reports.text import (
    UNKNOWN_TRAINING,
    access_sentence,
    group_sentence,
    spec_sentence,
    verdict_sentence,
)
from imparfait.reports.translation import Language
from imparfait.selection.executors import Executor

UNFINISHED = ".unfinished"  # end of the name of the folder beside the report's, with what is finished
MAX_NAME = 80  # bytes of the models' names, and of the data set's, in the folder's name


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """What was evaluated, and the folder with its report and scores.json."""

    folder: Path
    suites: dict[str, SuiteResult]
    """By model."""
    evaluation: Evaluation | None
    """None for one model on the core suite."""
    scores: ScoresFile | EvaluationFile
    """The content of scores.json."""
    measured_on: str
    """The images, in words."""
    notes: dict[str, str]
    """How external models take their input."""
    over_groups: Sequence[str] = ()
    """The interval of each model over groups, in words; none without groups."""


def evaluate_models(
    models: Sequence[LoadedModel],
    dataset: Dataset,
    *,
    suite: Suite = "core",
    split: EvaluatedSplit = "validation",
    sample: Sample = None,
    severities: SeverityFile | None = None,
    executor: Executor | None = None,
    threads: int = 1,
    out: str | Path = "runs",
    watch: Callable[[str], Watch] = lambda title: plainly,
    say: Callable[[str], object] = str,
    language: Language = "en",
) -> EvaluationReport:
    """Evaluate models on the validation images, or with split="test" on the test set, and write a report in `out`.

    split="all" is for models that are no runs, on a data set of load_data(…, whole=True). `sample` is about how many
    images are used, drawn by class, or "all"; by default all, and at most 4,000 for suite="photo". `severities` of
    `read_severities` replace the published ones.

    Models that differ only in their seed are one; each pair of models gets one verdict. Every model's access to the
    test set is recorded in the ledger in `out`. Each finished condition is kept beside the report's folder until the
    report is written: the same call continues after an interruption. An `executor` of `executor_named` runs the jobs,
    each a condition on a part of the images, on `threads` threads; with as many threads as PyTorch has here, the scores
    are the same as without one, bit for bit. `watch(title)` may show progress; it passes the
    result of each condition. `say` gets sentences about what was finished earlier. The report is in `language`.
    Raises UserError for validation images that a model was trained on, or may have been with other groups.
    """
    out = Path(out)
    drawn = sampled(images_of(models, dataset, split), dataset, split, sample, suite)
    images = drawn.images
    if drawn.is_sample:
        say(f"{drawn.count(images)} images{drawn.by_class}; --sample all uses all")
    conditions = conditions_of(suite, images, severities)
    names = as_file_name("-and-".join(model.name for model in models), MAX_NAME)
    data_name = as_file_name(images.name, MAX_NAME)
    folder = out / f"evaluate-{names}-{data_name}{'' if suite == 'core' else _suffix(suite)}-{split}"
    folder = folder.with_name(f"{folder.name}-sample-{len(images)}") if drawn.is_sample else folder
    scales = [severities] if severities else []
    folder = folder.with_name(f"{folder.name}-severities-{fingerprint(severities)[:6]}") if severities else folder
    keys = {
        model.name: fingerprint("evaluate", model.manifest.hash, model.config, suite, *scales)
        for model in models
        if isinstance(suite, str) and model.manifest and model.config  # what decides the scores of others is not known
    }
    with unfinished(folder.with_name(f"{folder.name}{UNFINISHED}")) as store:
        suites, access = dict[str, SuiteResult](), None
        for model in models:
            found, images, access = scores_on(
                model, drawn.images, dataset, split, conditions, out,
                key=keys.get(model.name), executor=executor, threads=threads, store=store, watch=watch, say=say,
            )  # fmt: skip
            suites[model.name] = SuiteResult(found)
        measured_on = _measured_on(drawn, images, split, access)
        measured_on += f"; {severities_sentence(severities)}" if severities else ""
        others = (
            [dataset.train_val()[0]] if split == "validation" else filter(None, (dataset.train, dataset.validation))
        )
        known = 0 if split == "all" else shared_groups(images, *others)
        report = _written(folder, models, suites, images, conditions, measured_on, known, language)
    for key in keys.values():
        forget_scores(out, key)
    return report


def _measured_on(drawn: DrawnImages, images: LabelledImages, split: EvaluatedSplit, access: TestAccess | None) -> str:
    """The images, and what was done to the test set, in words."""
    sealed = access_sentence(access) if access else "the test set stays sealed"
    if split != "all":
        return f"{drawn.count(images)} {split} images of {images.name}{drawn.by_class}; {sealed}"
    sealed = f"those for the test included, {access_sentence(access)}" if access else "none of them for the test"
    all_or_some = drawn.count(images) if drawn.is_sample else f"all {len(images):,}"
    return f"{all_or_some} images of {images.name}{drawn.by_class}; {sealed}"


def _written(
    folder: Path,
    models: Sequence[LoadedModel],
    suites: dict[str, SuiteResult],
    images: LabelledImages,
    conditions: Sequence[Condition],
    measured_on: str,
    known: int,
    language: Language,
) -> EvaluationReport:
    """The report, written to `folder`; `known` groups of the images were trained on."""
    over_groups = [
        f"{name}: {sentence}"
        for name, found in suites.items()
        if (sentence := group_sentence(found.mean_interval, found.mean_group_interval, known))
    ]
    circumstances = "; ".join([measured_on, *over_groups])
    notes = {model.name: spec_sentence(model.spec) for model in models if model.spec}
    first = models[0]
    is_short = len(models) == 1 and not suites[first.name].is_full
    evaluation = None if is_short else _assess(models, suites, images)
    with atomic_directory(folder) as partial:
        write_json(partial / "environment.json", environment(first.compute))
        scores: ScoresFile | EvaluationFile
        if evaluation:
            scores = _write_report(partial, models, evaluation, images, conditions, circumstances, notes, language)
        else:
            scores = _write_short_report(
                partial, first, suites[first.name], images, conditions, circumstances, notes, language
            )
    return EvaluationReport(folder, suites, evaluation, scores, measured_on, notes, over_groups)


def _suffix(suite: Suite) -> str:
    return f"-{suite}" if isinstance(suite, str) and suite in SUITES else "-custom"


def _assess(models: Sequence[LoadedModel], suites: Mapping[str, SuiteResult], images: LabelledImages) -> Evaluation:
    return assess(
        suites,
        {model.name: model.classifier for model in models},
        images,
        {model.name: model.group for model in models},
        {model.name: model.threshold for model in models},
    )


def _write_short_report(
    folder: Path,
    model: LoadedModel,
    suite: SuiteResult,
    images: LabelledImages,
    conditions: Sequence[Condition],
    measured_on: str,
    notes: Mapping[str, str],
    language: Language,
) -> ScoresFile:
    write_scores(folder, suite.scores)
    shown = list(apply_conditions(images, conditions))
    note = f" Input: {notes[model.name]}." if model.name in notes else ""
    run.write_report(
        folder,
        title=f"Evaluation: {model.name} on {images.name}, {_suite_title(suite.scores)}",
        circumstances=f"{model.name} on {measured_on}.{note}",
        overlap=_overlap(model),
        scores=suite.scores,
        conditions=shown,
        figures=run.prediction_figures(suite.scores, shown, model.classifier),
        facts={"settings": _settings(model), "compute": environment(model.compute)},
        language=language,
        names=[model.name, images.name],
    )
    return ScoresFile.of(suite.scores)


def _write_report(
    folder: Path,
    models: Sequence[LoadedModel],
    evaluation: Evaluation,
    images: LabelledImages,
    conditions: Sequence[Condition],
    measured_on: str,
    notes: Mapping[str, str],
    language: Language,
) -> EvaluationFile:
    scores = EvaluationFile.of(evaluation, list(map(verdict_sentence, evaluation.verdicts)))
    write_json(folder / "scores.json", scores.model_dump())
    overlaps = [f"{model.name}: {_overlap(model)}" for model in models] if len(models) > 1 else [_overlap(models[0])]
    robustness.write_report(
        folder,
        title=f"Evaluation: {', '.join(model.name for model in evaluation.models)} on {images.name}, corruption suite",
        circumstances=f"{counted(len(models), 'network')} on {measured_on}.",
        overlap=" ".join(overlaps),
        evaluation=evaluation,
        data=images,
        conditions=conditions,
        classifier=models[0].classifier,
        notes=notes,
        without_label_errors=_without_label_errors(evaluation.models),
        facts={model.name: _settings(model) for model in models if model.manifest}
        | {"compute": environment(models[0].compute)},
        language=language,
    )
    return scores


def _suite_title(scores: Scores) -> str:
    """The conditions of an evaluation, for its title."""
    names = [(score.corruption, score.severity) for score in scores.scores]
    return "core suite" if tuple(names) == CORE_SUITE else counted(len(names), "condition")


def _overlap(model: LoadedModel) -> str:
    """Which of the suite's corruptions the model saw in training, in words."""
    if not model.manifest:
        return UNKNOWN_TRAINING
    return describe_overlap(lookup("augmentation", model.manifest.settings.augmentation, AUGMENTATIONS))


def _settings(model: LoadedModel) -> dict[str, Any]:
    return model.manifest.settings.model_dump() if model.manifest else {}


def _without_label_errors(models: Sequence[ModelGroup]) -> dict[str, tuple[float, float]]:
    """Clean accuracy by model, on all images and without the published label errors, for MNIST's test set."""
    accuracies = {}
    for model in models:
        clean = model.seeds[0].clean
        if is_mnist_test(clean.truths):
            kept = clean.correct[without_label_errors(clean.truths)]
            accuracies[model.name] = (float(clean.correct.mean()), float(kept.mean()))
    return accuracies
