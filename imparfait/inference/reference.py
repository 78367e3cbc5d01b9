"""Reference observations of a model: what it predicts on images that it was not trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.types import Probabilities, Watch
from imparfait.data.dataset import LabelledImages
from imparfait.data.images.normalize import NormalizedImage, read_normalized
from imparfait.data.load import Dataset, plainly
from imparfait.evaluation.observations import (
    PROPERTY_DIGITS,
    SCORE_DIGITS,
    ZOOM,
    Observations,
    Reference,
    drawn_rows,
    least_confidence,
    properties_of,
)
from imparfait.inference.predictor import Prediction, Predictor

FILES_AT_ONCE = 64


def reference_of(
    predictor: Predictor,
    images: LabelledImages,
    split: Literal["validation", "calibration"],
    probabilities: Probabilities | None = None,
) -> Reference:
    """The reference of a model from images as in training; `probabilities` of all of them where they are known.

    At most MOST_IMAGES are drawn.
    """
    rows = drawn_rows(images.sources)
    few = images.select(rows)
    known = predictor.predict_proba(few.pixels) if probabilities is None else probabilities[rows]
    predictions = predictor.predictions_from(known, few.pixels)
    index = {name: number for number, name in enumerate(predictor.classes)}
    groups = () if few.groups is None else tuple(few.groups.tolist())
    return Reference(
        model=predictor.name,
        data=images.name,
        split=split,
        images=len(images),
        normalization=images.normalization,
        classes=predictor.classes,
        properties={name: tuple(values.tolist()) for name, values in properties_of(few.pixels).items()},
        labels=tuple(index[each.label] for each in predictions),
        scores=tuple(_score(each) for each in predictions),
        blank=tuple(row for row, each in enumerate(predictions) if each.blank),
        groups=groups,
    )


def reference_from_data(predictor: Predictor, dataset: Dataset, watch: Watch = plainly) -> Observations:
    """The observations of a model on the validation images of a data set, which is not in its run folder.

    Image files are read as the server reads them, so that `zoom` is known and models of two views see both. Raises
    UserError where the data set has other classes, and for such a model where the files are in an archive.
    """
    if tuple(dataset.train.classes) != predictor.classes:
        raise UserError(
            f"{dataset.train.name}: has the classes {', '.join(dataset.train.classes)}",
            expected=f"those of {predictor.name}, {', '.join(predictor.classes)}",
        )
    _, validation = dataset.train_val()
    few = validation.select(drawn_rows(validation.sources))
    files = [Path(dataset.files[source]) for source in few.sources] if dataset.files else []
    if files and all(file.is_file() for file in files):
        return _from_files(predictor, files, few, watch)
    if files and predictor.input_format.two_views:
        raise UserError(
            f"{validation.name}: its images are not files of a folder", expected="files", hint="unpack the archive"
        )
    least = least_confidence(predictor.threshold, predictor.none_of_these)
    return reference_of(predictor, few, "validation").observations(least)


def _from_files(predictor: Predictor, files: Sequence[Path], images: LabelledImages, watch: Watch) -> Observations:
    """The first page of each file, read and predicted as by the server."""
    predictions: list[Prediction] = []
    properties, zooms = [], []
    waiting: list[NormalizedImage] = []
    for number, file in enumerate(watch(files, len(files)), 1):
        waiting.append(next(read_normalized(file, predictor.input_format)))
        if len(waiting) == FILES_AT_ONCE or number == len(files):
            predictions += predictor.predict(waiting)
            properties.append(properties_of(np.stack([each.pixels for each in waiting])))
            zooms += [round(float(each.scale), PROPERTY_DIGITS) for each in waiting]
            waiting = []
    return Observations(
        properties={name: np.concatenate([part[name] for part in properties]) for name in properties[0]}
        | {ZOOM: np.array(zooms)},
        labels=np.array([each.label for each in predictions]),
        scores=np.array([_score(each) for each in predictions]),
        unsure=np.array([not each.confident for each in predictions]),
        blocks=np.arange(len(files)) if images.groups is None else images.groups,
    )


def _score(prediction: Prediction) -> float:
    return min(1.0, max(0.0, round(prediction.score, SCORE_DIGITS)))
