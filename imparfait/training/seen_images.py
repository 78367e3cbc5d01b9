"""Which images a run was trained on: that no validation image of a data set was among them."""

from dataclasses import replace
from pathlib import Path

from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.data.split_dataset import Dataset
from imparfait.data.splits import split, split_calibration
from imparfait.training.manifest import RunManifest, read_manifest


def check_split(name: str, manifest: RunManifest, dataset: Dataset) -> None:
    """Raises UserError where the run `name` was trained on a split of this data set by other groups, or by none.

    What is a validation image now may then have been a training image.
    """
    if dataset.validation or (dataset.train.groups is None and manifest.data.split_from is None):
        return
    fit, _ = dataset.train_val()
    if manifest.data.sha256 in _fingerprints(fit):
        return
    at_random = fit.groups is not None and manifest.data.sha256 in _fingerprints(
        split(replace(dataset.train, groups=None))[0]
    )
    if at_random or manifest.data.split_from == dataset.train.fingerprint():
        raise UserError(
            f"{name} was trained on another split of {fit.name}, perhaps on some of the validation images",
            expected="the same groups as in its training",
            hint="write the same --group, or train it again",
        )


def split_fingerprint(dataset: Dataset) -> str | None:
    """sha256 of the images that a run with validation trains on; None where no validation set can be held out."""
    try:
        return split_calibration(dataset.train_val()[0])[0].fingerprint()
    except UserError:
        return None


def _fingerprints(fit: LabelledImages) -> set[str]:
    """Of training images, with those for calibration and without."""
    return {fit.fingerprint(), split_calibration(fit)[0].fingerprint()}


def check_validation_unseen(origin: Path, dataset: Dataset) -> None:
    """Raises UserError when the run `origin` was trained on validation images of this data set."""
    manifest = read_manifest(origin)
    if not manifest.final:
        check_split(str(origin), manifest, dataset)
        return
    everything = dataset.train_and_val()
    if manifest.data.sha256 in _fingerprints(everything) | _fingerprints(replace(everything, groups=None)):
        raise UserError(
            f"{origin} was trained on the validation images too, so its score on them would mean nothing",
            hint="write --final, or name a run that was trained without it",
        )
