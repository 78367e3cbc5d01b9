"""Corrupts photographs with the published generators of ImageNet-C, in an environment of their own.

Called by benchmarks/accuracy/imagenet_c.py. Writes an .npz with `clean`, and an array for each corruption and level.
"""

import sys

import cv2
import numpy as np
import skimage.filters
from PIL import Image
from scipy.ndimage import map_coordinates
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
# Amplitude, sigma and affine displacement in pixels of ImageNet-C's elastic transform; the package's differ.
ELASTIC = ((488, 170.8, 24.4), (488, 19.52, 48.8), (12.2, 2.44, 4.88), (17.08, 2.44, 4.88), (29.28, 2.44, 4.88))


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


def elastic_transform(image: np.ndarray, level: int) -> np.ndarray:
    """ImageNet-C's: an affine map by three random points, then a smoothed random displacement."""
    amplitude, sigma, reach = ELASTIC[level - 1]
    side, middle, arm = len(image), len(image) // 2, len(image) // 3
    points = np.float32([[middle + arm, middle + arm], [middle + arm, middle - arm], [middle - arm, middle - arm]])
    moved = points + np.random.uniform(-reach, reach, points.shape).astype(np.float32)
    matrix = cv2.getAffineTransform(points, moved)
    warped = cv2.warpAffine(image.astype(np.float32) / 255, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)
    down, right = (
        amplitude * gaussian(np.random.uniform(-1, 1, (side, side)), sigma, mode="reflect", truncate=3)
        for _ in range(2)
    )
    row, column = np.mgrid[:side, :side]
    places = [row + down, column + right]
    channels = [map_coordinates(warped[..., c], places, order=1, mode="reflect") for c in range(3)]
    return (np.stack(channels, -1).clip(0, 1) * 255).astype(np.uint8)


def generated(name: str, image: np.ndarray, level: int) -> np.ndarray:
    """The corrupted photograph."""
    if name == "elastic_transform":
        return elastic_transform(image, level)
    return corrupt(image, corruption_name=name, severity=level)


def main() -> None:
    """Corrupt every photograph at every level."""
    np.random.seed(0)
    clean = photographs()
    made = {"clean": clean}
    for name in get_corruption_names():
        for level in range(1, 6):
            made[f"{name}_{level}"] = np.stack([generated(name, x, level) for x in clean])
    np.savez(sys.argv[1], **made)


main()
