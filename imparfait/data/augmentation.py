"""Which images an epoch shows, corrupted how."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import torch
from jaxtyping import Int64
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions import CORRUPTIONS, Family, Severity


@dataclass(frozen=True)
class AugmentationShare:
    """A part of the sources, shown corrupted (or as they are, when `corruption` is "clean")."""

    corruption: str
    severity: float | tuple[float, float]
    """One for all, or from where to where it is drawn, evenly, anew for each image."""
    part: float


@dataclass(frozen=True)
class Augmentation:
    """Shares of the sources; drawn once for the whole training, or anew every epoch."""

    summary: str
    shares: tuple[AugmentationShare, ...]
    anew: bool = False
    by_turns: bool = False
    """Each source is in one share an epoch, and in the next share the next epoch; the parts then make 1."""

    def rows(self, seed: int, epoch: int, sources: Int64[Tensor, " n"]) -> Int64[Tensor, "m 2"]:
        """What this epoch shows, in a random order: pairs of (index of a source, index of a share)."""
        drawn = epoch if self.anew else 0
        rng = CounterRng(seed, "mixture", 0 if self.by_turns else drawn, sources)
        chosen = []
        if self.by_turns:
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

    def shown(self, sources: int) -> int:
        """How many images an epoch shows of so many sources."""
        return sources if self.by_turns else sum(round(share.part * sources) for share in self.shares)

    def show(
        self, images: Images, share: Int64[Tensor, " n"], seed: int, epoch: int, sources: Int64[Tensor, " n"]
    ) -> Images:
        """The images as this epoch shows them, each corrupted as its share says. Changes `images` in place."""
        rng = CounterRng(seed, "train", epoch if self.anew else 0, sources)
        for index, kind in enumerate(self.shares):
            if kind.corruption != "clean":
                rows = (share == index).nonzero()[:, 0]
                severity = _severities(kind.severity, rng.at(rows))
                images[rows] = CORRUPTIONS[kind.corruption](images[rows], severity, rng.at(rows))
        return images


def _severities(severity: float | tuple[float, float], rng: CounterRng) -> Severity:
    if isinstance(severity, float):
        return severity
    least, most = severity
    return least + (most - least) * rng.uniform("severity")


def describe_overlap(augmentation: Augmentation) -> str:
    """A sentence on which corruptions a network trained on `augmentation` has seen: its scores speak of no others."""
    names = [share.corruption for share in augmentation.shares if share.corruption != "clean"]
    if not names:
        return "No corrupted image was seen in training."
    if len(names) > 3:
        unseen = [name for name in CORRUPTIONS if name not in names]
        seen = f"In training it saw images corrupted in {len(names)} ways of the table"
        return f"{seen}: all but {', '.join(unseen)}." if unseen else f"{seen}: all of them."
    return (
        f"In training it saw images corrupted as {' and '.join(names)}; of other corruptions these numbers say nothing."
    )


CLEAN = AugmentationShare("clean", 0.0, 1.0)
HARD = (0.25, 1.0)  # severities; the lesser ones are easy for who knows these
OF_THE_THREE = 0.08  # the share of each in an augmentation of many, which they would else be lost in


TWICE = ("rotate", "translate", "spatter", "defocus_blur", "fog", "zigzag")
"""Shown twice as often in an augmentation of many: read worst after 14 epochs on everything (validation images)."""


def of_many(summary: str, names: Iterable[str]) -> Augmentation:
    """The protocol's three, those of them that are among `names`, and the other corruptions."""
    others = [name for name in names if name not in ("geometric", "shrunk")]
    three = [AugmentationShare("clean", 0.0, OF_THE_THREE)]
    three += [
        AugmentationShare(name, CORRUPTIONS[name].protocol or 1.0, OF_THE_THREE)
        for name in ("geometric", "shrunk")
        if name in names
    ]
    each = (1 - OF_THE_THREE * len(three)) / (len(others) + sum(name in TWICE for name in others))
    return Augmentation(
        summary,
        (*three, *(AugmentationShare(name, HARD, each * (1 + (name in TWICE))) for name in others)),
        anew=True,
        by_turns=True,
    )


AUGMENTATIONS: dict[str, Augmentation] = {
    "fresh": Augmentation(
        "each image once an epoch: clean, geometric or shrunk by turns, corrupted anew every time",
        (
            AugmentationShare("clean", 0.0, 1 / 3),
            AugmentationShare("geometric", 0.5, 1 / 3),
            AugmentationShare("shrunk", 1.0, 1 / 3),
        ),
        anew=True,
        by_turns=True,
    ),
    "balanced": Augmentation(
        "each image three times an epoch: clean, geometric and shrunk, drawn once",
        (CLEAN, AugmentationShare("geometric", 0.5, 1.0), AugmentationShare("shrunk", 1.0, 1.0)),
    ),
    "study": Augmentation(
        "the founding study's: of 60,000 images, all clean, 20,000 geometric and 25,000 shrunk, drawn once",
        (CLEAN, AugmentationShare("geometric", 0.5, 1 / 3), AugmentationShare("shrunk", 1.0, 5 / 12)),
    ),
    "clean": Augmentation("the images as they are", (CLEAN,)),
    "everything": of_many(
        "each image once an epoch: the three, and every corruption at severities from 0.25 to 1", CORRUPTIONS
    ),
    "unlike_mnist_c": of_many(
        "the three, and every corruption that is none of MNIST-C's 15",
        [name for name, known in CORRUPTIONS.items() if known.mnist_c is None],
    ),
    **{
        f"without_{family}": of_many(
            f"everything but the corruptions of {family}",
            [name for name, known in CORRUPTIONS.items() if known.family != family],
        )
        for family in get_args(Family)
    },
}
