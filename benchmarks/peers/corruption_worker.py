"""Peer libraries for corruption_throughput.py: rotation up to 15°, translation and per-axis scaling up to 10 %.

Arguments: peer (keras, kornia, albumentations), an .npy file of uint8 [n, 28, 28], threads. For each line on stdin, a
number of images at once, it transforms all images once and prints the seconds. Only kornia works on several at once.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

Work = Callable[[int], object]


def keras(pixels: np.ndarray, threads: int) -> Work:
    """ImageDataGenerator, float to float, single-threaded."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(rotation_range=15, zoom_range=0.1, width_shift_range=0.1, height_shift_range=0.1)
    flow = generator.flow(pixels[..., None].astype("float32"), batch_size=len(pixels), seed=0)
    return lambda chunk: next(flow)


def kornia(pixels: np.ndarray, threads: int) -> Work:
    """RandomAffine, float to float, on batches."""
    import torch
    from kornia.augmentation import RandomAffine

    torch.set_num_threads(threads)
    images = torch.from_numpy(pixels)[:, None] / 255
    transform = RandomAffine(15.0, translate=(0.1, 0.1), scale=(0.9, 1.1, 0.9, 1.1), p=1.0)
    return lambda chunk: [transform(batch) for batch in images.split(chunk)]


def albumentations(pixels: np.ndarray, threads: int) -> Work:
    """Affine, uint8 to uint8, image by image: it has no batches with per-image parameters."""
    import cv2
    from albumentations import Affine, Compose

    cv2.setNumThreads(threads)
    transform = Compose(
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
    return lambda chunk: [transform(image=image)["image"] for image in pixels]


def main() -> None:
    peer, file, threads = sys.argv[1:]
    work = {"keras": keras, "kornia": kornia, "albumentations": albumentations}[peer](np.load(file), int(threads))
    print(json.dumps({peer: version(peer)}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        work(int(line))
        print(json.dumps(time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
