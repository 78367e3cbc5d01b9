"""A classifier with scikit-learn's interface: fit, predict, predict_proba, score, in pipelines and cross-validation."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from imparfait.core.counts import counted
from imparfait.core.errors import UserError, lookup
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data
from imparfait.data.samples import as_input
from imparfait.data.split_dataset import Dataset
from imparfait.evaluation.scores import probabilities_of
from imparfait.models.classifier import as_classifier
from imparfait.training.recipes import RECIPES, refuse_renamed
from imparfait.training.run import prepare_run
from imparfait.training.settings import changed

GIVEN = ("model", "epochs", "batch_size", "learning_rate", "seed")
"""Parameters that replace a setting of the recipe, unless they are None."""


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An image classifier for scikit-learn: `ImageClassifier(recipe="photo").fit(X, y)`.

    `X` is an array `[n, height, width]` or `[n, height, width, channels]`, uint8 or float in 0..1, or a sequence of
    Pillow's images, arrays and paths; `y` has a label for each. `size` brings images of several sizes to size × size
    pixels. `model`, `epochs`, `batch_size`, `learning_rate` and `seed` replace the recipe's; `device` is auto, cpu,
    cuda or mps. All images are trained on, none is held out to calibrate on, so probabilities are not calibrated:
    scikit-learn's CalibratedClassifierCV does that.

    After `fit`: `classes_`, the labels; `network_`, the PyTorch network; `run_`, its settings and images.
    """

    def __init__(
        self,
        recipe: str = "photo",
        *,
        size: int | None = None,
        model: str | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.recipe = recipe
        self.size = size
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.device = device

    def fit(self, X: Any, y: Any, groups: Any = None) -> "ImageClassifier":  # noqa: N803  # scikit-learn's names
        """Train on all of the images; `groups` tells which belong together when the augmentation is chosen.

        Raises UserError for images of another form, for a single class, and for X, y and groups of several lengths.
        """
        refuse_renamed(self.recipe)
        recipe = lookup("recipe", self.recipe, RECIPES).settings
        given = {name: value for name in GIVEN if (value := getattr(self, name)) is not None}
        labels = np.asarray(y)
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise UserError(
                f"{counted(int((~np.isfinite(labels)).sum()), 'label')} missing", expected="a label for each image"
            )
        if labels.ndim != 1 or len(labels) != len(X):
            raise UserError(f"{len(X)} images with labels of shape {labels.shape}", expected="one label per image")
        self.classes_, indices = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise UserError(f"labels of one class, {self.classes_[0]}", expected="two classes or more")
        data = self._labelled(X, indices, groups)
        self.run_, self.network_ = prepare_run(
            Dataset(data), changed(recipe, given), self.recipe, final=True, device=self.device, fixed=set(given)
        )
        for _ in self.run_.training(self.network_):
            pass
        return self

    def predict_proba(self, X: Any) -> Float[np.ndarray, "n classes"]:  # noqa: N803
        """The probability of each of `classes_`, for images of the form that `fit` was given."""
        check_is_fitted(self)
        pixels = as_input(X, self.run_.data.input_format)
        if not len(pixels):
            return np.zeros((0, len(self.classes_)))
        classifier = as_classifier(self.network_, self.run_.compute)
        probabilities = probabilities_of(classifier, pixels, len(self.classes_)).astype(np.float64)
        normalised: np.ndarray = probabilities / probabilities.sum(1, keepdims=True)
        return normalised

    def predict(self, X: Any) -> Shaped[np.ndarray, " n"]:  # noqa: N803
        """The most probable of `classes_` for each image."""
        most_probable = self.predict_proba(X).argmax(1)
        labels: np.ndarray = self.classes_[most_probable]
        return labels

    def _labelled(self, images: Any, indices: np.ndarray, groups: Any) -> LabelledImages:
        """The training images, whose classes are named by their labels."""
        if isinstance(images, np.ndarray) and images.ndim < 3:
            raise UserError(f"X of shape {images.shape}", expected="[n, height, width] or [n, height, width, channels]")
        arrays = isinstance(images, np.ndarray)
        given = (images, indices) if arrays else [(x, f"{i:09}") for x, i in zip(images, indices, strict=True)]
        data = load_data(given, None if arrays else self.size).train
        belong = None
        if groups is not None:
            if len(groups) != len(data):
                raise UserError(
                    f"{counted(len(groups), 'group')} for {counted(len(data), 'image')}", expected="one per image"
                )
            belong = np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)
        return replace(data, classes=tuple(map(str, self.classes_)), groups=belong)
