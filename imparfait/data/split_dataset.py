"""A data set: training images, validation images where it has some, and test images under seal."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.large_arrays import joined
from imparfait.core.names import check_names
from imparfait.core.types import Watch
from imparfait.data.dataset import LabelledImages, Split
from imparfait.data.idx import PARTS
from imparfait.data.image_files import FileFacts, all_have_groups
from imparfait.data.images.input_format import InputFormat
from imparfait.data.sealed_test import SealedTest
from imparfait.data.splits import split


@dataclass(frozen=True)
class Dataset:
    """Images to learn from, and where there are any, images to validate on and test images under seal."""

    train: LabelledImages
    sealed: SealedTest | None = None
    validation: LabelledImages | None = None
    remark: str = ""
    """Which normalization was chosen and how many images it changed, as a sentence."""
    files: tuple[str, ...] = ()
    """Of image files, the file of each source id, those of the test images included."""
    facts: Mapping[Split, FileFacts] = field(default_factory=dict)
    """Of image files, what those of each split that was read are."""
    for_test: np.ndarray | None = field(default=None, repr=False)
    """Of all images as one split, which ones are for the test, where some are."""
    read_parts: Callable[[Watch], Iterator[tuple[LabelledImages, FileFacts]]] | None = field(default=None, repr=False)
    """The test images again, in parts; only for a data report, which has no model."""

    def __post_init__(self) -> None:
        check_names(self.train.name, self.train.classes)

    @property
    def test(self) -> SealedTest:
        """The sealed test images; raises UserError where the data set has none."""
        if self.sealed is None:
            raise UserError(
                f"{self.train.name} has no test images",
                expected=f"{' and '.join(PARTS['test'])}, or a folder test/",
                hint="evaluate on the validation images: leave out --final, or --split test",
            )
        return self.sealed

    @property
    def input_format(self) -> InputFormat:
        """What a model trained on these images takes, and how image files are brought to it."""
        return self.train.input_format

    def train_val(self) -> tuple[LabelledImages, LabelledImages]:
        """Images to fit on and images to validate on: as the data set has them, else split by us."""
        return (self.train, self.validation) if self.validation else split(self.train)

    def trial_images(self) -> LabelledImages | None:
        """Images on which it may be tried how a model takes its input: those to validate on, none of them for the test.

        Of all images as one split, those that are not for the test; None where all are.
        """
        if self.for_test is None:
            return self.train_val()[1]
        others = np.flatnonzero(~self.for_test)
        return self.train.select(others) if len(others) else None

    def train_and_val(self) -> LabelledImages:
        """All images that are not for the test; raises UserError where only some of them have groups."""
        if not self.validation:
            return self.train
        return _as_one(self.train, self.validation)

    def whole(self) -> "Dataset":
        """All images as one split, under seal too where those for the test are among them."""
        if self.sealed is None:
            return replace(self, train=self.train_and_val(), validation=None)
        everything = _as_one(known := self.train_and_val(), self.sealed.read_again())
        for_test = np.arange(len(everything)) >= len(known)
        sealed = SealedTest(everything.name, lambda: everything)
        remark = ", ".join(filter(None, (self.remark, "those for the test included")))
        return replace(self, train=everything, sealed=sealed, validation=None, remark=remark, for_test=for_test)


def _as_one(first: LabelledImages, second: LabelledImages) -> LabelledImages:
    pixels, labels, sources = (
        joined([getattr(part, name) for part in (first, second)]) for name in ("pixels", "labels", "sources")
    )
    named = [(f"the {part.split} images of {part.name}", part.groups) for part in (first, second)]
    groups = np.concatenate([own for _, own in named if own is not None]) if all_have_groups(named) else None
    return replace(first, pixels=pixels, labels=labels, sources=sources, groups=groups)
