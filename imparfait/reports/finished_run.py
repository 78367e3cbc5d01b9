"""The end of a run: calibrate, evaluate, and write its folder with model card and report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.special import softmax
from torch import nn

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.hardware import environment, torch_threads
from imparfait.core.storage import atomic_directory, fingerprint, printable
from imparfait.core.types import Classifier, Pixels, Probabilities, Watch
from imparfait.data.augmentation import AUGMENTATIONS, describe_overlap
from imparfait.data.corrupted import CLEAN_SUITE, CORE_SUITE, conditions_of
from imparfait.data.dataset import ConditionImages, LabelledImages
from imparfait.data.load import plainly
from imparfait.data.sealed_test import SealedTest
from imparfait.data.splits import shared_groups
from imparfait.evaluation.calibration import Calibration, calibrate, calibrate_few
from imparfait.evaluation.kept_scores import forget_scores, score_on_test
from imparfait.evaluation.none_of_these import none_of_these
from imparfait.evaluation.observations import write_reference
from imparfait.evaluation.scores import ConditionResult, Scores, score_conditions
from imparfait.evaluation.scores_file import write_scores
from imparfait.evaluation.suspect_labels import SuspectLabel, suspect_labels, write_suspects
from imparfait.evaluation.weak_slices import weak_slices, write_weak_slices
from imparfait.inference.predictor import Predictor
from imparfait.inference.reference import reference_of
from imparfait.models.classifier import as_classifier
from imparfait.models.metadata import ModelConfig, read_config
from imparfait.reports.data_text import none_sentence, slices_sentence
from imparfait.reports.doubtful_images import copies_figure, suspects_figure
from imparfait.reports.model_card import write_card
from imparfait.reports.robustness_summary import RobustnessSummary, summarize_robustness, write_summary
from imparfait.reports.run import prediction_figures, training_figure, write_report
from imparfait.reports.text import (
    access_sentence,
    group_sentence,
    mean_label,
    percent,
    recall_sentence,
    suspects_sentence,
)
from imparfait.reports.translation import Language
from imparfait.training.checkpoints import Epoch
from imparfait.training.recipes import suite_for
from imparfait.training.run import Run
from imparfait.training.run_folder import calibrated_before, write_run

LONG_TRAINING = 60  # seconds, from which on figures are also written as SVG and PDF, and the table in LaTeX


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run's folder and its scores."""

    folder: Path
    scores: Scores
    measured_on: str
    """Which images the scores are of, in words."""
    robustness: RobustnessSummary | None = None
    over_groups: str = ""
    """The interval over groups, in words; empty without groups."""
    recalls: str = ""
    """The recall of the classes, in words."""
    calibrated: bool = True
    """Whether it has a confidence threshold."""
    error_rate: float | None = None
    """The rate of errors that its threshold keeps, or that no threshold keeps; None without images for it."""
    suspects: str = ""
    """Which labels of the validation images are probably wrong, in words."""
    none_of_these: str = ""
    """How many images of no class are found, in words."""
    weak_slices: str = ""
    """On which validation images it is clearly less accurate, in words."""


def finish_run(
    run: Run,
    model: nn.Module,
    epochs: Sequence[Epoch],
    out: Path,
    test: SealedTest | None = None,
    watch: Watch = plainly,
    suite: str = "core",
    held_out_classes: Mapping[str, float] | None = None,
    language: Language = "en",
) -> FinishedRun:
    """Calibrate and evaluate the trained `model`, and write the folder of its run in `out`.

    It is evaluated on the test images if they are given, which the ledger in `out` records, else on the validation
    images of the run. `suite` "digits" or "photo" also summarises its robustness on some of the latter. `watch` shows
    how far the evaluation is. `held_out_classes` are the rates of `caught_when_held_out`.
    """
    folder = out / run.name
    with torch_threads(run.compute.threads), atomic_directory(folder) as unfinished:
        calibration = _calibrate(run, model) or calibrated_before(run, out)
        key = fingerprint("run", run.hash, str(calibration and calibration.temperature))
        classifier = as_classifier(model, run.compute, (calibration and calibration.temperature) or 1.0)
        if test:
            scores, conditions, measured_on = _evaluate_on_test(classifier, test, out, run, key, watch)
        else:
            assert run.validation, "a run without validation images is evaluated on test images"
            conditions = conditions_of(run.validation, suite_for(run.settings))
            scores = score_conditions(classifier, watch(conditions, len(conditions)))
            sealed = "; the test images stay sealed" if run.has_test else ""
            measured_on = f"on {counted(len(run.validation), 'validation image')}{sealed}"
        known = shared_groups(conditions[0].data, run.data)
        over_groups = group_sentence(scores.mean_interval, scores.mean_group_interval, known)
        recalls = recall_sentence(scores)
        suspects = [] if test else suspect_labels(scores.conditions[0])
        doubts = suspects_sentence(suspects, scores.classes, run.files)
        if suspects:
            write_suspects(unfinished / "suspect_labels.csv", suspects, scores.classes, run.files)
        weak = [] if test else weak_slices(scores.conditions[0], conditions[0].data, run.data)
        if weak:
            write_weak_slices(unfinished, weak)
        less = slices_sentence(weak, run.files)
        few = run.validation if suite != "core" else None
        summary = summarize_robustness(classifier, few, watch, suite) if few else None
        is_photo = suite_for(run.settings) == CLEAN_SUITE
        wants_none = run.validation if is_photo or held_out_classes else None
        none = none_of_these(classifier, wants_none, held_out_classes) if wants_none else None
        found = none_sentence(none) if none else ""
        write_run(unfinished, run, model, epochs, calibration, none)
        _write_reference(unfinished, run, classifier, None if test else scores.conditions[0])
        if summary:
            write_summary(unfinished, summary)
        write_scores(unfinished, scores, run.files)
        remarks = [each for each in (over_groups, recalls, less, found, doubts, summary and summary.sentence) if each]
        failed = None
        try:
            _write_report(
                unfinished,
                run,
                epochs,
                calibration,
                scores,
                conditions,
                measured_on,
                remarks,
                suspects,
                classifier,
                language,
            )
        except (UserError, OSError):
            raise
        except Exception as error:  # of a library that draws: the run itself is complete
            failed = error
    if failed:
        raise UserError(
            f"{folder}: the run is complete, but its report cannot be drawn: {printable(repr(failed))}",
            hint="the same command draws it again, without training and without another test access",
        ) from failed
    forget_scores(out, key)
    return FinishedRun(
        folder,
        scores,
        measured_on,
        robustness=summary,
        over_groups=over_groups,
        recalls=recalls,
        calibrated=bool(calibration and calibration.threshold),
        error_rate=calibration.error_rate if isinstance(calibration, Calibration) else None,
        suspects=doubts,
        none_of_these=found,
        weak_slices=less,
    )


def _calibrate(run: Run, model: nn.Module) -> Calibration | None:
    """From the images kept for it, else from the validation images; None for a final run of few images."""
    classifier, corrupted = as_classifier(model, run.compute), suite_for(run.settings) == CORE_SUITE
    if run.calibration and corrupted:
        return calibrate(classifier, run.calibration)
    images = run.calibration or run.validation
    return calibrate_few(classifier, images, corrupted=corrupted) if images else None


def _evaluate_on_test(
    classifier: Classifier, test: SealedTest, out: Path, run: Run, key: str, watch: Watch
) -> tuple[Scores, list[ConditionImages], str]:
    def scored(images: LabelledImages) -> Scores:
        conditions = conditions_of(images, suite_for(run.settings))
        return score_conditions(classifier, watch(conditions, len(conditions)))

    def described(scores: Scores) -> str:
        results = [f"{score.corruption} {percent(score.accuracy)}" for score in scores.scores]
        return ", ".join([*results, f"{mean_label(scores)} {percent(scores.mean)}"])

    scores, access = score_on_test(scored, test, out, run.hash, key, described)
    return scores, conditions_of(access.images, suite_for(run.settings)), access_sentence(access)


def _write_reference(folder: Path, run: Run, classifier: Classifier, clean: ConditionResult | None) -> None:
    """Write what `imparfait drift` compares later images with; `clean` are predictions of the validation images.

    None is written for a final run without images that it was not trained on.
    """
    images = run.validation or run.calibration
    if images is None:
        return
    config = read_config(folder)

    def predicted(pixels: Pixels) -> Probabilities:
        return softmax(classifier(pixels.astype(np.float32) / 255), 1)

    rules = config.threshold, predicted, config.none_of_these
    predictor = Predictor(run.name, config.classes, config.input, *rules)
    known = clean.probabilities if clean and run.validation else None
    split: Literal["validation", "calibration"] = "validation" if run.validation else "calibration"
    write_reference(folder, reference_of(predictor, images, split, known))


def _write_report(
    folder: Path,
    run: Run,
    epochs: Sequence[Epoch],
    calibration: Calibration | ModelConfig | None,
    scores: Scores,
    conditions: list[ConditionImages],
    measured_on: str,
    remarks: Sequence[str],
    suspects: Sequence[SuspectLabel],
    classifier: Classifier,
    language: Language,
) -> None:
    trained = f"trained for {epochs[-1].seconds:.0f} s on {counted(len(run.data), 'image')}"
    if isinstance(calibration, Calibration):
        noun = "other" if run.calibration else "validation image"
        trained += f", calibrated on {counted(calibration.images, noun)}"
    else:
        trained += ", calibrated as its run with validation images was" if calibration else ", not calibrated"
    overlap = describe_overlap(AUGMENTATIONS[run.settings.augmentation])
    circumstances = f"{run.recipe}, seed {run.settings.seed}: {trained}; {measured_on}."
    doubtful = [suspects_figure(suspects, conditions[0].data, run.files)] if suspects else []
    if run.files and run.validation and (copies := copies_figure(run.validation, run.data, run.files)):
        doubtful.append(copies)
    sentences = [f"{each[:1].upper()}{each[1:]}." for each in remarks]
    write_card(folder, run, scores, " ".join([circumstances, *sentences, overlap]))
    write_report(
        folder,
        title=f"Training: {run.recipe} on {run.data.name}, seed {run.settings.seed}",
        circumstances=circumstances,
        remarks=remarks,
        overlap=overlap,
        scores=scores,
        conditions=conditions,
        figures=[training_figure(epochs), *prediction_figures(scores, conditions, classifier), *doubtful],
        facts={
            "run": {"name": run.name, "hash": run.hash},
            "settings": run.settings.model_dump(),
            "compute": environment(run.compute),
        },
        language=language,
        names=[run.recipe, run.data.name],
        for_papers=epochs[-1].seconds >= LONG_TRAINING,  # they take three seconds
    )
