"""Small pictures drawn here; shapes and types of the package are really checked while tests run."""

import os
from collections.abc import Iterator

from jaxtyping import install_import_hook

# Tests may run side by side (pytest -n 2): each process on a core of its own, for threads of several that share all
# cores wait for one another.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and CORES:
    os.sched_setaffinity(0, {CORES[int(worker.removeprefix("gw")) % len(CORES)]})

hook = install_import_hook("imparfait", "typechecker.check")
hook.__enter__()  # for the whole session: every module of the package is imported through it

from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

from imparfait.data.dataset import LabelledImages  # noqa: E402

CLASSES = ("flat", "steep", "cross")


SLOWEST = ("test_readme", "test_end_to_end", "test_page", "test_compare", "test_notebooks")
"""Files of tests that take minutes: begun first, so that no core waits for them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: index for index, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


def draw_bars(n: int, side: int = 16, channels: int = 1, first_source: int = 0) -> LabelledImages:
    """`n` pictures of a flat bar, a steep bar or both, each at another place and of another grey."""
    random = np.random.default_rng(first_source)
    pixels = np.zeros((n, channels, side, side), np.uint8)
    labels = np.arange(n) % len(CLASSES)
    for picture, label in zip(pixels, labels, strict=True):
        row, column = random.integers(2, side - 4, 2)
        grey = random.integers(150, 256, (channels, 1, 1))
        if label != 1:
            picture[:, row : row + 2, 1:-1] = grey
        if label != 0:
            picture[:, 1:-1, column : column + 2] = grey
    sources = np.arange(first_source, first_source + n)
    return LabelledImages(pixels, labels.astype(np.int64), sources, CLASSES, "bars", "train")


@pytest.fixture(scope="module")
def all_cores() -> Iterator[None]:
    """For tests of several processes: all cores there are, though others are tested beside it."""
    if CORES:
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, CORES)
        yield
        os.sched_setaffinity(0, mine)
    else:
        yield


@pytest.fixture
def bars() -> LabelledImages:
    return draw_bars(32)


@pytest.fixture
def images(bars: LabelledImages) -> torch.Tensor:
    return torch.from_numpy(bars.pixels).float() / 255


def write_idx(folder: Path, train: LabelledImages, test: LabelledImages | None) -> Path:
    """A folder of IDX files, as `--data` takes it."""
    folder.mkdir()
    for part, data in (("train", train), ("t10k", test)):
        if data:
            pixels = data.pixels[:, 0] if data.channels == 1 else data.pixels.transpose(0, 2, 3, 1)
            for kind, array in (("images", pixels), ("labels", data.labels)):
                header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
                (folder / f"{part}-{kind}-idx").write_bytes(header + array.astype(np.uint8).tobytes())
    return folder


@pytest.fixture
def bars_folder(tmp_path: Path) -> Path:
    return write_idx(tmp_path / "bars", draw_bars(120), draw_bars(30, first_source=120))


__all__ = ["draw_bars", "write_idx"]
