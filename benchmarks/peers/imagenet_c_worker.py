"""Corrupts photographs with the published generators of ImageNet-C, in an environment of their own.

Called by benchmarks/accuracy/imagenet_c.py. Writes an .npz with `clean`, and an array for each corruption and level.
"""

import sys

import numpy as np
import skimage.filters
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_image

gaussian = skimage.filters.gaussian


def with_channel_axis(image, *args, multichannel=None, **options):
    """scikit-image's filter, which today calls `multichannel` another name."""
    if multichannel is not None:
        options["channel_axis"] = -1 if multichannel else None
    return gaussian(image, *args, **options)


skimage.filters.gaussian = with_channel_axis
np.float_ = np.float64  # the name that NumPy 2 dropped

from imagecorruptions import corrupt, get_corruption_names  # noqa: E402

SIDE, CROPS = 224, 4


def photographs() -> np.ndarray:
    """Crops of the photographs that come with scikit-learn and scikit-image: [n, 224, 224, 3]."""
    photos = [load_sample_image("china.jpg"), load_sample_image("flower.jpg")]
    photos += [data.astronaut(), data.coffee(), data.chelsea()]
    crops = []
    for photo in photos:
        image = Image.fromarray(photo)
        side = min(image.size)
        for number in range(CROPS):
            part = side * (1.0, 0.8, 0.65, 0.9)[number]
            left, top = (
                (full - part) * share
                for full, share in zip(image.size, ((0.5, 0.5), (0, 1), (1, 0.3), (0.2, 0))[number], strict=True)
            )
            crops.append(
                np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (left, top, left + part, top + part)))
            )
    return np.stack(crops)


def main() -> None:
    """Corrupt every photograph at every level."""
    np.random.seed(0)
    clean = photographs()
    made = {"clean": clean}
    for name in get_corruption_names():
        for level in range(1, 6):
            made[f"{name}_{level}"] = np.stack([corrupt(x, corruption_name=name, severity=level) for x in clean])
    np.savez(sys.argv[1], **made)


main()
