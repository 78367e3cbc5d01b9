"""Images of peers_fair.py: the fixed set, the stream of each seed, and the images to tune and score on."""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))

from study import mixture_of

from imparfait import core_suite
from imparfait.core.storage import atomic_directory
from imparfait.data.augmentation import AUGMENTATIONS
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import check_apart


def save_images(train: LabelledImages, tune: LabelledImages, score: LabelledImages, folder: Path) -> Path:
    """The folder of the fixed set and of the images to tune and score on, made if it is missing.

    Labels of the latter are in files of their own, which no contestant gets.
    """
    for held_out in (tune, score):
        check_apart(train, held_out)
    check_apart(tune, score)
    saved = folder / f"images-{train.fingerprint()[:12]}"
    if not saved.exists():
        with atomic_directory(saved) as new:
            fixed = mixture_of(train)
            np.savez(new / "fixed.npz", pixels=fixed.pixels, labels=fixed.labels)
            for name, data in (("tune", tune), ("score", score)):
                conditions = {f"condition {each.corruption}": each.data.pixels for each in core_suite(data)}
                np.savez(new / f"{name}.npz", **conditions)
                np.save(new / f"{name}-labels.npy", data.labels)
    return saved


def save_stream(train: LabelledImages, seed: int, epochs: int, saved: Path) -> list[str]:
    """The stream's epochs, each made if it is missing: the augmentation `core`, drawn anew for each."""
    augmentation, sources = AUGMENTATIONS["core"], torch.from_numpy(train.sources)
    paths = [saved / f"stream-s{seed}" / f"epoch-{epoch:03}" for epoch in range(epochs)]
    for epoch, path in enumerate(paths):
        if Path(f"{path}-labels.npy").exists():
            continue
        rows = augmentation.rows(seed, epoch, sources)
        parts = [
            augmentation.apply(torch.from_numpy(train.pixels[source]) / 255, share, seed, epoch, sources[source])
            for source, share in (batch.T for batch in rows.split(4000))
        ]
        pixels = (torch.cat(parts) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(f"{path}-pixels.npy", pixels)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:  # the labels last, and whole
            np.save(file, train.labels[rows[:, 0].numpy()])
        Path(file.name).rename(f"{path}-labels.npy")
    return [str(path) for path in paths]
