"""Classes held out in turn: how many images of a class that a network never saw it takes for none of its classes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.hardware import torch_threads
from imparfait.core.storage import atomic_write
from imparfait.core.types import Classifier, Watch
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import plainly
from imparfait.evaluation.metrics import max_probability
from imparfait.evaluation.none_of_these import FALSE_RATE, MIN_IMAGES
from imparfait.evaluation.scores import probabilities_of
from imparfait.models.classifier import as_classifier
from imparfait.training.run import Run, new_run

TRAININGS = 4  # at most; so many classes are missing in each that every class is missing once
MIN_CLASSES = 3  # of which two are known


def check_held_out_classes(validation: LabelledImages | None, known_from: str = "") -> None:
    """Raises UserError where no class can be held out: of few classes and images, and where all are known before.

    `validation` are the run's validation images, None for a final run; `known_from` is the flag by which the network
    starts with knowledge of all classes.
    """
    if validation is None:
        raise UserError(
            "--held-out-classes with --final: the rule is found on validation images, and --final trains on them",
            hint="train without --final first: a final run with the same settings takes over its rates",
        )
    if known_from:
        raise UserError(
            f"--held-out-classes with {known_from}",
            expected="a training that starts without knowledge of the classes, so that they can be held out",
            hint="leave one of the two out",
        )
    if len(validation.classes) < MIN_CLASSES:
        raise UserError(
            f"--held-out-classes with {counted(len(validation.classes), 'class', 'classes')}",
            expected=f"at least {MIN_CLASSES}, so that a training without one still has two to tell apart",
            hint="leave it out",
        )
    left = min(int((~missing)[validation.labels].sum()) for missing in _turns(len(validation.classes)))
    if left < MIN_IMAGES:
        wanted = -(-len(validation) * MIN_IMAGES // max(left, 1))
        raise UserError(
            f"--held-out-classes: of {len(validation)} validation images only {left} are of the classes that are left",
            expected=f"at least {MIN_IMAGES}: the rule is their lowest {100 * FALSE_RATE:.0f} %",
            hint=f"leave it out, or add images until about {wanted} are for validation",
        )


def caught_when_held_out(run: Run, cache: Path, watch: Watch = plainly) -> dict[str, float]:
    """The share, 0..1, of each class's images that a network trained without this class takes for none of these.

    There are four trainings as the run's, each without a quarter of the classes. The rule is that of `none_of_these`,
    found on the validation images of the other classes. Finished trainings are kept in `cache`, a folder, and the same
    call continues. `watch` shows how far it is. Raises UserError as `check_held_out_classes`.
    """
    check_held_out_classes(run.validation)
    assert run.validation is not None
    turns, caught = _turns(len(run.data.classes)), dict[str, float]()
    cache.mkdir(parents=True, exist_ok=True)
    for number, missing in watch(list(enumerate(turns)), len(turns)):
        file = cache / f"held-out-classes-{number}.json"
        if not file.exists():
            atomic_write(file, json.dumps(_caught(run, run.validation, missing)).encode())
        caught |= json.loads(file.read_text(encoding="utf-8"))
    return {name: caught[name] for name in run.data.classes if name in caught}


def _caught(run: Run, validation: LabelledImages, missing: Bool[np.ndarray, " classes"]) -> Mapping[str, float]:
    classifier = _trained(run, _only(run.data, ~missing))
    with torch_threads(run.compute.threads):
        known = _only(validation, ~missing)
        bound = np.quantile(_confidences(classifier, known, ~missing), FALSE_RATE, method="higher")
        caught = {}
        for label in np.flatnonzero(missing):
            unknown = [images.select(images.labels == label) for images in (run.data, validation)]
            found = np.concatenate([_confidences(classifier, images, ~missing) for images in unknown])
            if len(found):
                caught[run.data.classes[label]] = float((found < bound).mean())
    return caught


def _trained(run: Run, data: LabelledImages) -> Classifier:
    """A network trained on `data` with the settings and the backbone of `run`."""
    from imparfait.training.linear_probe import fit_probe

    part, network = new_run(
        run.recipe, run.settings, data, run.compute.device, backbone=run.backbone, frozen=run.frozen
    )
    if run.backbone:
        for _ in fit_probe(network, data, part.compute, run.backbone.sha256, run.settings.seed):
            pass
    if not run.frozen:
        for _ in part.training(network):
            pass
    return as_classifier(network, part.compute)


def _confidences(classifier: Classifier, data: LabelledImages, known: Bool[np.ndarray, " classes"]) -> np.ndarray:
    return max_probability(probabilities_of(classifier, data.pixels, int(known.sum())))


def _turns(classes: int) -> list[Bool[np.ndarray, " classes"]]:
    """Which classes are missing in each training."""
    trainings = min(TRAININGS, classes)
    return [np.arange(classes) % trainings == turn for turn in range(trainings)]


def _only(data: LabelledImages, known: Bool[np.ndarray, " classes"]) -> LabelledImages:
    """The images of the classes `known`, and these classes alone."""
    numbers = np.cumsum(known) - 1
    chosen = data.select(known[data.labels])
    names = tuple(name for name, keep in zip(data.classes, known, strict=True) if keep)
    return replace(chosen, labels=numbers[chosen.labels], classes=names)
