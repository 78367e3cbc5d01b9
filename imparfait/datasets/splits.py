"""Which sources are for fitting and which for validation."""

import numpy as np
import torch

from imparfait.datasets.labelled import LabelledImages
from imparfait.errors import UserError
from imparfait.randomness import Draw

VALIDATION_SHARE = 1 / 6  # of MNIST's 60,000: 10,000, as many as its test pictures


def split(data: LabelledImages, share: float = VALIDATION_SHARE) -> tuple[LabelledImages, LabelledImages]:
    """Pictures to fit on and pictures to validate on: by source, stratified, always the same ones.

    From each class the sources with the smallest random numbers go to validation, so all copies of a source stay
    together. For MNIST these are the project's development pictures.
    """
    if data.split != "train":
        raise UserError(f"only training pictures are split for fitting; these are {data.split} pictures")
    sources, first = np.unique(data.sources, return_index=True)
    labels = data.labels[first]
    order = Draw(0, "validation", 0, torch.from_numpy(sources)).bits("order").numpy()
    held_out: list[np.ndarray] = []
    carried = 0.0  # rounding is carried from class to class, so that the total is the share asked for
    for label in range(len(data.classes)):
        members = np.flatnonzero(labels == label)
        exact = len(members) * share + carried
        take = min(round(exact), max(len(members) - 1, 0))
        carried = exact - take
        held_out.append(sources[members[np.argsort(order[members], kind="stable")[:take]]])
    mask = np.isin(data.sources, np.concatenate(held_out))
    if not mask.any():
        raise UserError(
            f"{data.name}: {len(data)} pictures are too few to keep some for validation; 2 a class are the least"
        )
    return data.select(~mask), data.select(mask, "validation")
