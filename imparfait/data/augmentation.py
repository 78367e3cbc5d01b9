"""Training augmentations: which images an epoch contains, and how each is corrupted."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import torch
from jaxtyping import Int64
from torch import Tensor

from imparfait.core.counts import counted
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions import CORRUPTIONS, CorruptionFunction, Family, Severity
from imparfait.corruptions.base import on_device
from imparfait.data.photo_augmentation import PHOTO_AUGMENTATIONS, photo_summary

TRANSFORMATIONS: dict[str, CorruptionFunction] = {**CORRUPTIONS, **PHOTO_AUGMENTATIONS}
"""What an augmentation can do to an image: all corruptions, and mild variations that are no damage."""


@dataclass(frozen=True)
class AugmentationShare:
    """A fraction of the sources and the transformation applied to them ("clean" for none)."""

    corruption: str
    severity: float | tuple[float, float]
    """One severity for all, or the range from which it is drawn uniformly, image by image."""
    part: float


@dataclass(frozen=True)
class Augmentation:
    """An augmentation: shares of the sources with their corruptions."""

    summary: str
    shares: tuple[AugmentationShare, ...]
    redrawn: bool = False
    """Whether corruptions are drawn again every epoch, rather than once for the whole training."""
    round_robin: bool = False
    """Whether each source is in one share per epoch and moves to the next share every epoch; the parts add up to 1."""

    def rows(self, seed: int, epoch: int, sources: Int64[Tensor, " n"]) -> Int64[Tensor, "m 2"]:
        """The epoch's images in random order, as pairs (index of a source, index of a share)."""
        drawn = epoch if self.redrawn else 0
        rng = CounterRng(seed, "mixture", 0 if self.round_robin else drawn, sources)
        chosen = []
        if self.round_robin:
            turn = (rng.uniform("share") + epoch / len(self.shares)) % 1
            ends = torch.tensor([share.part for share in self.shares]).cumsum(0)[:-1]
            chosen.append(torch.stack([torch.arange(len(sources)), torch.bucketize(turn, ends, right=True)], 1))
        else:
            for index, share in enumerate(self.shares):
                taken = rng.bits(f"share {index}").argsort(stable=True)[: round(share.part * len(sources))]
                chosen.append(torch.stack([taken, torch.full_like(taken, index)], 1))
        rows = torch.cat(chosen)
        order = CounterRng(seed, "order", epoch, sources[rows[:, 0]]).bits("order", len(self.shares))
        return rows[order.gather(1, rows[:, 1:]).flatten().argsort(stable=True)]

    def images_per_epoch(self, sources: int) -> int:
        """Number of images per epoch for this number of sources."""
        return sources if self.round_robin else sum(round(share.part * sources) for share in self.shares)

    def apply(
        self, images: Images, share: Int64[Tensor, " n"], seed: int, epoch: int, sources: Int64[Tensor, " n"]
    ) -> Images:
        """Corrupt each image as its share specifies; changes `images` in place and returns them.

        The images may be on any device, where they are corrupted; `share` and `sources` are on the CPU, where
        severities are drawn and images grouped, so that no index is read back.
        """
        rng = CounterRng(seed, "train", epoch if self.redrawn else 0, sources)
        for index, kind in enumerate(self.shares):
            if kind.corruption != "clean":
                rows = (share == index).nonzero()[:, 0]
                severity = _severities(kind.severity, rng.at(rows))
                there, numbers = on_device(rows, images), rng.at(rows).to(images.device)
                images[there] = TRANSFORMATIONS[kind.corruption](images[there], severity, numbers)
        return images


def _severities(severity: float | tuple[float, float], rng: CounterRng) -> Severity:
    if isinstance(severity, float):
        return severity
    least, most = severity
    return least + (most - least) * rng.uniform("severity")


def _in_words(corruption: str) -> str:
    return corruption.replace("_", " ")


def describe_overlap(augmentation: Augmentation) -> str:
    """A sentence on which corruptions `augmentation` contains: accuracies on others are a different claim."""
    names = [share.corruption for share in augmentation.shares if share.corruption in CORRUPTIONS]
    if not names:
        mild = any(share.corruption != "clean" for share in augmentation.shares)
        return "No corruption was seen in training" + (", only mild changes of photographs." if mild else ".")
    if len(names) > 3:
        unseen = [name for name in CORRUPTIONS if name not in names]
        seen = f"{counted(len(names), 'corruption')} {'was' if len(names) == 1 else 'were'} seen in training"
        return f"{seen}: all but {', '.join(map(_in_words, unseen))}." if unseen else f"{seen}: all of them."
    return (
        f"Seen in training: {' and '.join(map(_in_words, names))}; these numbers say nothing about other corruptions."
    )


CLEAN = AugmentationShare("clean", 0.0, 1.0)
HARD_SEVERITIES = (0.25, 1.0)  # severities; a network trained on these finds smaller ones easy
CORE_FRACTION = 0.12  # of each part of the core suite among many corruptions, where an even share is too little
MOSTLY_CORE_FRACTION = 0.24  # likewise in a training of seconds, which has no time for the rest


DOUBLED = ("rotate", "translate", "spatter", "defocus_blur", "fog", "zigzag")
"""Twice as frequent among many corruptions: lowest accuracy after 14 epochs on everything (validation set)."""


def many_corruptions(summary: str, names: Iterable[str], core_fraction: float = CORE_FRACTION) -> Augmentation:
    """An augmentation of clean images, the core suite's corruptions among `names`, and all others of `names`."""
    others = [name for name in names if name not in ("geometric", "shrunk")]
    three = [AugmentationShare("clean", 0.0, core_fraction)]
    three += [
        AugmentationShare(name, CORRUPTIONS[name].protocol or 1.0, core_fraction)
        for name in ("geometric", "shrunk")
        if name in names
    ]
    each = (1 - core_fraction * len(three)) / (len(others) + sum(name in DOUBLED for name in others))
    return Augmentation(
        summary,
        (*three, *(AugmentationShare(name, HARD_SEVERITIES, each * (1 + (name in DOUBLED))) for name in others)),
        redrawn=True,
        round_robin=True,
    )


AUGMENTATIONS: dict[str, Augmentation] = {
    "core": Augmentation(
        "each image once per epoch, in turn clean, geometric or shrunk; corruptions drawn anew every epoch",
        (
            AugmentationShare("clean", 0.0, 1 / 3),
            AugmentationShare("geometric", 0.5, 1 / 3),
            AugmentationShare("shrunk", 1.0, 1 / 3),
        ),
        redrawn=True,
        round_robin=True,
    ),
    "balanced": Augmentation(
        "each image three times per epoch: clean, geometric and shrunk; corruptions drawn once",
        (CLEAN, AugmentationShare("geometric", 0.5, 1.0), AugmentationShare("shrunk", 1.0, 1.0)),
    ),
    "study": Augmentation(
        "the founding study's: all 60,000 images clean, 20,000 geometric and 25,000 shrunk; drawn once",
        (CLEAN, AugmentationShare("geometric", 0.5, 1 / 3), AugmentationShare("shrunk", 1.0, 5 / 12)),
    ),
    "clean": Augmentation("no corruptions", (CLEAN,)),
    **{
        name: Augmentation(photo_summary(name), (AugmentationShare(name, 1.0, 1.0),), redrawn=True, round_robin=True)
        for name in PHOTO_AUGMENTATIONS
    },
    "everything": many_corruptions(
        "each image once per epoch: the core suite and every corruption at severities from 0.25 to 1", CORRUPTIONS
    ),
    "mostly_core": many_corruptions(
        "as everything, but three quarters of the images are the core suite's", CORRUPTIONS, MOSTLY_CORE_FRACTION
    ),
    "unlike_mnist_c": many_corruptions(
        "the core suite and every corruption that is not one of MNIST-C's 15",
        [name for name, known in CORRUPTIONS.items() if known.mnist_c is None],
    ),
    **{
        f"without_{family}": many_corruptions(
            f"everything except the {family} corruptions",
            [name for name, known in CORRUPTIONS.items() if known.family != family],
        )
        for family in get_args(Family)
    },
}
