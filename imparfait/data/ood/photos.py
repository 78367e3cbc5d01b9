"""Random crops of the photographs that come with scikit-learn and matplotlib."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.core.rng import CounterRng
from imparfait.data.ood.base import Grey


def pieces(rng: CounterRng, height: int, width: int, photographs: Sequence[str]) -> Grey:
    """One crop per image, anywhere in one of `photographs`, grey, at its original contrast.

    The size is between a sixth of the largest possible and the largest (smaller crops are mostly empty), log-uniform.
    Crops overlap, so thousands of them show far fewer objects.
    """
    images = np.empty((len(rng.sources), height, width), np.uint8)
    for image, (which, size, down, right) in zip(images, rng.uniform("piece", 4).tolist(), strict=True):
        photograph = _grey(photographs[int(len(photographs) * which)])
        most = min(photograph.width / width, photograph.height / height)
        scale = most * 6 ** (size - 1)
        left, top = right * (photograph.width - scale * width), down * (photograph.height - scale * height)
        box = (left, top, left + scale * width, top + scale * height)
        image[:] = np.asarray(photograph.resize((width, height), Image.Resampling.BOX, box))
    return images


@lru_cache
def _grey(photograph: str) -> Image.Image:
    """The photograph at a path inside a package, such as sklearn/datasets/images/china.jpg."""
    package, _, path = photograph.partition("/")
    spec = find_spec(package)  # found, not imported
    file = Path(spec.origin).parent / path if spec and spec.origin else None
    if not file or not file.exists():
        raise UserError(f"{photograph} is not installed", hint=install_hint("train"))
    with Image.open(file) as image:
        return image.convert("L")
