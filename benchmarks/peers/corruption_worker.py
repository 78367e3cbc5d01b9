"""What altering.py compares with: turned by up to 15 degrees, moved and stretched by up to 10 %, each side by itself.

Arguments: whose (keras, kornia, albumentations), an .npy of uint8 [n, 28, 28], threads. For each line that comes it
alters all of them once more and says how many seconds that took.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

BATCH = 1000  # images that kornia gets at once


def keras(pixels: np.ndarray, threads: int) -> Callable[[], object]:
    """ImageDataGenerator, from floats to floats; one thread is all it uses."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(rotation_range=15, zoom_range=0.1, width_shift_range=0.1, height_shift_range=0.1)
    flow = generator.flow(pixels[..., None].astype("float32"), batch_size=len(pixels), seed=0)
    return lambda: next(flow)


def kornia(pixels: np.ndarray, threads: int) -> Callable[[], object]:
    """RandomAffine, from floats to floats, on batches."""
    import torch
    from kornia.augmentation import RandomAffine

    torch.set_num_threads(threads)
    images = torch.from_numpy(pixels)[:, None] / 255
    alter = RandomAffine(15.0, translate=(0.1, 0.1), scale=(0.9, 1.1, 0.9, 1.1), p=1.0)
    return lambda: [alter(part) for part in images.split(BATCH)]


def albumentations(pixels: np.ndarray, threads: int) -> Callable[[], object]:
    """Affine, from bytes to bytes, image by image: it takes no batches in which each is corrupted by itself."""
    import cv2
    from albumentations import Affine, Compose

    cv2.setNumThreads(threads)
    alter = Compose(
        [
            Affine(
                rotate=(-15, 15),
                scale={"x": (0.9, 1.1), "y": (0.9, 1.1)},
                translate_percent={"x": (-0.1, 0.1), "y": (-0.1, 0.1)},
                keep_ratio=False,
                p=1,
            )
        ]
    )
    return lambda: [alter(image=image)["image"] for image in pixels]


def main() -> None:
    peer, file, threads = sys.argv[1:]
    work = {"keras": keras, "kornia": kornia, "albumentations": albumentations}[peer](np.load(file), int(threads))
    print(json.dumps({peer: version(peer)}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        print(json.dumps(time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
