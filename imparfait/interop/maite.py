"""MAITE's protocols for image classification: our models, images, corruptions and accuracy in them, and theirs here."""

# The protocols are structural: nothing here imports maite, and nothing of it is needed.

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32

from imparfait.core.errors import UserError
from imparfait.core.types import Classifier, Logits, Pixels, Probabilities
from imparfait.data.dataset import LabelledImages, Split
from imparfait.data.images.input_format import InputFormat, is_like_mnist
from imparfait.evaluation.external.adapter import kind_of_outputs, to_logits
from imparfait.evaluation.intervals import mean_interval
from imparfait.evaluation.scores import probabilities_of
from imparfait.inference.predictor import Predictor, pooled
from imparfait.interop.batches import as_image, as_inputs, corrupted, same_size, source_of

Metadata = Mapping[str, Any]
"""What is known of an image: its `id`, a whole number or text, and anything else."""
Batch = tuple[Sequence[Any], Sequence[Any], Sequence[Metadata]]
"""Images `[channels, height, width]`, targets `[classes]`, and the metadata of each."""
CLEAN = "clean"


@dataclass(frozen=True, eq=False)
class MaiteModel:
    """A model as MAITE's Model: a batch of images to probabilities `[classes]` of each.

    `model` is a model of `open_model`, a Predictor, or any classifier, whose `classes` are then given. Images are
    uint8, or floating point in 0..1. Where the model states what it takes, images of another size or number of channels
    are brought to it as `predict` brings files; all others are taken as they are.
    """

    model: Any
    classes: tuple[str, ...] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if not self._classes:
            raise UserError(
                f"{self._name}: its classes are not known", expected='their names, as in classes=("cat", "dog")'
            )

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The model's name as `id`, and its classes as `index2label`."""
        return {"id": self._name, "index2label": dict(enumerate(self._classes))}

    def __call__(self, batch_input: Sequence[Any], /) -> list[Float32[np.ndarray, " classes"]]:
        """The probability of each class, for each image; raises UserError for what are no such images."""
        if len(batch_input) == 0:
            return []
        pixels, owners = as_inputs(batch_input, self._form)
        return list(pooled(self._probabilities(pixels), owners))

    @property
    def _name(self) -> str:
        return str(self.name or getattr(self.model, "name", None) or getattr(self.model, "__name__", "model"))

    @property
    def _classes(self) -> tuple[str, ...]:
        return tuple(self.classes or getattr(self.model, "classes", None) or ())

    @property
    def _form(self) -> InputFormat | None:
        if isinstance(self.model, Predictor):
            return self.model.input_format
        return getattr(getattr(self.model, "config", None), "input", None)

    def _probabilities(self, pixels: Pixels) -> Probabilities:
        if isinstance(self.model, Predictor):
            return self.model.predict_proba(pixels)
        return probabilities_of(self.model, pixels, len(self._classes))


@dataclass(frozen=True, eq=False)
class MaiteDataset:
    """Labelled images as MAITE's Dataset, and its FieldwiseDataset: uint8 images, and targets of 0 and one 1.

    The id of an image is its source id; its metadata has its `group` too, where the images have groups.
    """

    images: LabelledImages

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The name of the data set and its split as `id`, and its classes as `index2label`."""
        identity = f"{self.images.name} {self.images.split}"
        return {"id": identity, "index2label": dict(enumerate(self.images.classes))}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """The image, its target and its metadata."""
        return self.get_input(index), self.get_target(index), self.get_metadata(index)

    def get_input(self, index: int, /) -> np.ndarray:
        """The image, uint8 `[channels, height, width]`."""
        return np.asarray(self.images.pixels[index])

    def get_target(self, index: int, /) -> np.ndarray:
        """1 for the image's class, 0 for the others."""
        target = np.zeros(len(self.images.classes), np.float32)
        target[self.images.labels[index]] = 1
        return target

    def get_metadata(self, index: int, /) -> dict[str, Any]:
        """The image's id, and its group."""
        groups = self.images.groups
        group = {} if groups is None else {"group": int(groups[index])}
        return {"id": int(self.images.sources[index]), **group}


@dataclass(frozen=True)
class MaiteCorruption:
    """A corruption as MAITE's Augmentation, by its name in CORRUPTIONS or PHOTO_CORRUPTIONS and its severity 0..1.

    The pixels are those of `evaluate`: a function of the image, its id and `seed`. Images keep their kind, uint8 or
    floating point in 0..1, and come back as arrays. The metadata of each gets its `corruption` and `severity`.
    """

    name: str
    severity: float
    seed: int = 0

    def __post_init__(self) -> None:
        from imparfait.corruptions import corruption_named

        if not 0 <= self.severity <= 1:
            raise UserError(f"severity {self.severity}", expected="a number in 0..1")
        if self.name != CLEAN:
            corruption_named(self.name)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The name, the severity and the seed as `id`."""
        return {"id": f"{self.name} {self.severity:g} seed {self.seed}"}

    def __call__(self, batch: Batch, /) -> tuple[list[np.ndarray], Sequence[Any], list[dict[str, Any]]]:
        """The batch with its images corrupted; targets stay as they are."""
        images, targets, metadata = batch
        marked = [{**each, "corruption": self.name, "severity": self.severity} for each in metadata]
        if self.name == CLEAN:
            return [np.asarray(image) for image in images], targets, marked
        ids = [source_of(each) for each in metadata]
        return corrupted(images, ids, self.name, self.severity, self.seed), targets, marked


@dataclass(frozen=True, eq=False)
class MaiteSuite:
    """The images under every condition of a suite, one after the other, as MAITE's DataLoader.

    `suite` is as in `evaluate`. The metadata of each image has its `corruption` and `severity`, by which MaiteAccuracy
    tells the conditions apart.
    """

    images: LabelledImages
    suite: Any = "core"
    batch_size: int = 256

    def __iter__(self) -> Iterator[tuple[list[np.ndarray], list[np.ndarray], list[dict[str, Any]]]]:
        from imparfait.evaluation.suite import apply_conditions

        for condition in apply_conditions(self.images, self._conditions):
            data = MaiteDataset(condition.data)
            mark = {"corruption": condition.corruption, "severity": condition.severity}
            for start in range(0, len(data), self.batch_size):
                rows = range(start, min(start + self.batch_size, len(data)))
                metadata = [{**data.get_metadata(row), **mark} for row in rows]
                yield [data.get_input(row) for row in rows], [data.get_target(row) for row in rows], metadata

    def __len__(self) -> int:
        return len(self._conditions) * -(-len(self.images) // self.batch_size)

    @cached_property
    def _conditions(self) -> list[Any]:
        from imparfait.evaluation.suite import conditions_for

        return conditions_for(self.suite, self.images)


class MaiteAccuracy:
    """Accuracy as MAITE's Metric, in counts; of several conditions their mean, weighted as `evaluate` does."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {"id": "accuracy"}
        self._ids: dict[tuple[str, float], list[Any]] = {}
        self._correct: dict[tuple[str, float], list[bool]] = {}

    def reset(self) -> None:
        """Forget all predictions."""
        self._ids, self._correct = {}, {}

    def update(
        self, pred_batch: Sequence[Any], target_batch: Sequence[Any], metadata_batch: Sequence[Metadata], /
    ) -> None:
        """Count a batch: a prediction is correct where its largest number is the target's.

        Raises UserError where predictions and targets have not as many classes.
        """
        for predicted, target, metadata in zip(pred_batch, target_batch, metadata_batch, strict=True):
            if np.shape(predicted) != np.shape(target) or np.ndim(target) != 1:
                raise UserError(
                    f"a prediction of shape {np.shape(predicted)} for a target of shape {np.shape(target)}",
                    expected="a number per class in both",
                )
            condition = (str(metadata.get("corruption", CLEAN)), float(metadata.get("severity", 0)))
            self._ids.setdefault(condition, []).append(metadata["id"])
            is_correct = int(np.argmax(predicted)) == int(np.argmax(target))
            self._correct.setdefault(condition, []).append(is_correct)

    def compute(self) -> dict[str, Any]:
        """`accuracy`, `low` and `high` of its 95 % interval, `images`; with several conditions, the accuracy of each.

        The interval of a mean is over source images, and left out where conditions have different ones.
        """
        from imparfait.evaluation.suite import weights

        if not self._correct:
            raise UserError("no predictions", expected="update before compute")
        shares = {condition: float(np.mean(each)) for condition, each in self._correct.items()}
        weighting = weights(list(shares))
        mean = float(np.average(list(shares.values()), weights=weighting))
        first, *others = self._ids.values()
        result: dict[str, Any] = {"accuracy": mean, "images": len(first)}
        if all(other == first for other in others):
            correct = np.average(list(self._correct.values()), 0, weighting)
            interval = mean_interval(correct, copies=len(shares))
            result |= dict(zip(("low", "high"), interval, strict=True))
        if others:
            result |= {f"{name} {severity:g}": share for (name, severity), share in shares.items()}
        return result


def classifier_of(model: Any, classes: Sequence[str] | None = None, *, floating: bool = False) -> Classifier:
    """A MAITE Model as a classifier for `evaluate` and everything else here.

    It gets uint8 images, as in a MaiteDataset, or with `floating` float32 ones in 0..1. Its outputs are logits, or
    probabilities where they sum to 1. `classes` are those of the data: where the model's `index2label` names them in
    another order, outputs are brought to this one.
    """
    labels = dict(getattr(model, "metadata", {}).get("index2label", {}))

    def classify(images: np.ndarray) -> Logits:
        given = images if floating else np.rint(images * 255).astype(np.uint8)
        outputs = np.stack([np.asarray(row, np.float32) for row in model(list(given))])
        kind = "probabilities" if kind_of_outputs(outputs) == "probabilities" else "logits"
        names = [str(labels.get(index, index)) for index in range(outputs.shape[1])]
        return to_logits(outputs, kind, classes or names, len(images), names if classes and labels else ())

    return classify


def images_of(
    dataset: Any, *, split: Split = "validation", group: str | None = None, name: str | None = None
) -> LabelledImages:
    """The images of a MAITE Dataset of image classification, to train, evaluate or corrupt with everything here.

    The label is the target's largest number, the source id the image's id, or a hash of it where it is text. `group`
    is the key of the metadata that tells which images belong together. All are in memory at once.
    Raises UserError for images of several sizes, and for targets that are not one number per class.
    """
    data = [dataset[index] for index in range(len(dataset))]
    if not data:
        raise UserError("a MAITE data set without images", expected="at least one")
    pixels = same_size([as_image(image) for image, _, _ in data])
    targets = [np.asarray(target) for _, target, _ in data]
    if targets[0].ndim != 1 or any(target.shape != targets[0].shape for target in targets):
        raise UserError(
            f"targets of shape {' and '.join(sorted({str(target.shape) for target in targets}))}",
            expected="one number per class for each image",
        )
    labels = dataset.metadata.get("index2label", {})
    groups = None
    if group is not None:
        groups = np.unique([str(metadata[group]) for _, _, metadata in data], return_inverse=True)[1].astype(np.int64)
    return LabelledImages(
        pixels,
        np.array([target.argmax() for target in targets], np.int64),
        np.array([source_of(metadata) for _, _, metadata in data], np.int64),
        tuple(str(labels.get(index, index)) for index in range(len(targets[0]))),
        name or str(dataset.metadata["id"]),
        split,
        "digit" if is_like_mnist(pixels) else "none",
        groups,
    )
