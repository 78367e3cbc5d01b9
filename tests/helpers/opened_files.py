"""All arrays of a data set, including its test set."""

from pathlib import Path

import numpy as np

from imparfait.data.load import Dataset, load_data


def open_all(home: Path) -> tuple[Dataset, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Everything there is to read, the test images too."""
    dataset = load_data(home)
    found = {"train": dataset.train}
    if dataset.validation:
        found["val"] = dataset.validation
    if dataset.sealed:
        with dataset.sealed.open(home.parent / "ledger.csv", "none") as opening:
            found["test"] = opening.images
    return dataset, {split: (data.pixels.transpose(0, 2, 3, 1), data.labels) for split, data in found.items()}
